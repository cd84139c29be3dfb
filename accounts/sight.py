"""The one place that decides in which organizations a person may see or do something.

Pages, lists, filters, searches, actions and jobs ask here. A permission that was given to the person as such (a group,
or a tick on the user's page) holds in all organizations that they are a member of; one that comes from a role holds
where they have the role. A superuser may do everything everywhere.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, Permission
from django.db.models import Q, QuerySet

from .models import Organization, User
from .roles import may_give, permissions_of, roles_of


def organization_ids(user: User | AnonymousUser, *permissions: str) -> list[UUID] | None:
    """The organizations where the person has one of the permissions; without any, all that they are a member of.

    None stands for every organization there is.
    """
    if not user.is_active:
        return []
    if user.is_superuser:
        return None
    roles = roles_of(user)
    if not permissions or not _as_such(user).isdisjoint(permissions):
        return list(roles)
    return [one for one, role in roles.items() if not permissions_of(role).isdisjoint(permissions)]


def organizations(user: User | AnonymousUser, *permissions: str) -> QuerySet[Organization]:
    """The same, as rows."""
    ids = organization_ids(user, *permissions)
    return Organization.objects.all() if ids is None else Organization.objects.filter(pk__in=ids)


def may(user: User | AnonymousUser, permission: str, organization_id: UUID | None) -> bool:
    """Whether the person has the permission in this organization; None: what belongs to none is for superusers."""
    ids = organization_ids(user, permission)
    return ids is None or organization_id in ids


def may_somewhere(user: User | AnonymousUser, *permissions: str) -> bool:
    """Whether the person has one of the permissions in any organization; a superuser has, also where there is none."""
    return organization_ids(user, *permissions) != []


def may_everywhere(user: User | AnonymousUser, *permissions: str) -> bool:
    """Whether the person has all these permissions whatever their role is."""
    return user.is_active and (user.is_superuser or _as_such(user) >= set(permissions))


def may_look_after(user: User, person: User, *permissions: str) -> bool:
    """Whether the user may act for this person, who can do no more than the user, and belongs to nobody else.

    Who can change somebody's address or password can be that somebody. The user has one of the permissions wherever
    the person is a member.
    """
    ids = organization_ids(user, *permissions)
    if ids is None:
        return True
    memberships = roles_of(person).items()
    return (
        not person.is_superuser
        and all(one in ids and may_give(user, one, role) for one, role in memberships)
        and _given_to(person) <= _as_such(user)
    )


def is_member(user: User | AnonymousUser) -> bool:
    """Whether the person can sign in and belongs to some organization."""
    return user.is_active and bool(roles_of(user))


def _as_such(user: Any) -> set[str]:
    """What the person may do whatever their role is; Django's own backend knows it."""
    found: set[str] = user.get_user_permissions() | user.get_group_permissions()
    return found


def _given_to(person: User) -> set[str]:
    """The same, also of somebody who cannot sign in now."""
    rows = Permission.objects.filter(Q(user=person) | Q(group__user=person)).order_by()
    return {f"{app}.{name}" for app, name in rows.values_list("content_type__app_label", "codename")}
