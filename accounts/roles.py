"""What a role allows: permissions of Django, in the member's own organization and in no other.

Which role has which stands on one page, `settings.ROLES` ("config.roles.ROLES"): role -> "leads.view_lead" and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import AnonymousUser
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .models import Membership, Role, User

#: Each may give the roles up to its own.
_RANK = {Role.AGENT: 0, Role.MANAGER: 1, Role.OWNER: 2}


class RoleBackend(BaseBackend):
    """Gives a user what the user's roles allow, wherever it is: where it is allowed says `accounts.sight`."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """All that some role of the user allows; nothing for a single object."""
        if obj is not None or not user_obj.is_active:
            return set()
        return {name for role in roles_of(user_obj).values() for name in permissions_of(role)}

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether the user may do something in an app."""
        return any(name.startswith(f"{app_label}.") for name in self.get_all_permissions(user_obj))


def roles_of(user: User | AnonymousUser) -> dict[UUID, str]:
    """Organization -> the user's role; read once for each user object, as Django does with permissions."""
    if user.is_anonymous:
        return {}
    found: dict[UUID, str] | None = user.__dict__.get("_roles")
    if found is None:
        rows = Membership.objects.filter(user_id=user.pk).order_by("created_at", "pk")
        found = user.__dict__["_roles"] = dict(rows.values_list("organization_id", "role"))
    return found


def permissions_of(role: str) -> frozenset[str]:
    """What the role allows; nothing if it is none."""
    return _table().get(role, frozenset())


def may_give(user: User, organization_id: UUID, role: str) -> bool:
    """Whether the user may make somebody this in the organization, or look after somebody who is this there."""
    if user.is_superuser and user.is_active:
        return True
    own = roles_of(user).get(organization_id) if user.is_active else None
    return own is not None and _RANK[Role(role)] <= _RANK[Role(own)]


@cache
def _table() -> dict[str, frozenset[str]]:
    table: Mapping[str, Any] = import_string(settings.ROLES)
    return {role: frozenset(names) for role, names in table.items()}


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "ROLES":
        _table.cache_clear()


setting_changed.connect(_forget)
