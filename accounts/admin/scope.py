"""What every admin page of the product shares: rows, and what can be done with them, by `accounts.sight`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth import get_permission_codename
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import ngettext

from admin_lists.keyset_admin import KeysetAdmin
from admin_lists.owners import rows_of, streams_of

from .. import sight
from ..models import Membership, Organization, User

_Action = Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]


class ScopedAdmin(KeysetAdmin):
    """Rows of the organizations in which the person may look at them; each act is allowed where the person may do it.

    `organization_path` leads from a row to its organization.
    """

    organization_path = "organization"
    page_key: tuple[str, ...] = ("created_at", "pk")
    #: Whether an index has each organization's rows in the list's order.
    in_order_by_organization = False
    #: Permissions beside Django's four: the name that an action gives -> the permission's whole name.
    special_permissions: dict[str, str] = {}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that this person may see."""
        rows: QuerySet[Any] = super().get_queryset(request)
        ids = self._ids(request, "view", "change")
        return rows if ids is None else self._of(rows, ids)

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Each organization's rows: an index has these in order, and none has those of several organizations."""
        ids = self._ids(request, "view", "change")
        if not self.in_order_by_organization or ids is None:
            return [rows]
        return streams_of(rows, self.organization_path, ids)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Where the person may look, or change."""
        return super().has_view_permission(request, obj) and self._allows(request, obj, "view", "change")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Where the person may change."""
        return super().has_change_permission(request, obj) and self._allows(request, obj, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Where the person may delete."""
        return super().has_delete_permission(request, obj) and self._allows(request, obj, "delete")

    def may(self, request: HttpRequest, action: str, obj: Model | None = None) -> bool:
        """Whether the person may do this with the row; without one, whether there is any organization for it."""
        if obj is None:
            return sight.may_somewhere(signed_in(request), self._permission(action))
        return self._allows(request, obj, action)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """The list's actions, each refused for rows of organizations where the person may not do it."""
        # Django 6.1 says which place it asks for, and looks whether the parameter is there; 5.2 knows the list only
        where = {} if action_location is None else {"action_location": action_location}
        actions: dict[str, Any] = super().get_actions(request, **where)
        return {name: self._guarded(action) for name, action in actions.items()}

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """The page of a new row asks, and shows nothing that there is not yet."""
        fields = list(super().get_fields(request, obj))
        shown = self.get_readonly_fields(request, obj)
        return fields if obj is not None else [name for name in fields if name not in shown]

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        """Only what the person may look at; of organizations, where they may add such a row; an only one is chosen."""
        related: Any = db_field.related_model
        shown = self.admin_site._registry.get(related)
        if related is Organization:
            kwargs["queryset"] = sight.organizations(signed_in(request), self._permission("add"))
            if len(only := kwargs["queryset"][:2]) == 1:
                kwargs["initial"] = only[0]
        elif isinstance(shown, ScopedAdmin):
            kwargs["queryset"] = shown.get_queryset(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def _of(self, rows: QuerySet[Any], organization_ids: list[UUID]) -> QuerySet[Any]:
        return rows_of(rows, self.organization_path, organization_ids)

    def _owner(self, obj: Any) -> UUID | None:
        *way, last = self.organization_path.split("__")
        for name in way:
            obj = getattr(obj, name)
        found: UUID | None = getattr(obj, last if last == "pk" else f"{last}_id")
        return found

    def _allows(self, request: HttpRequest, obj: Any, *actions: str) -> bool:
        if obj is None:
            return True
        ids = self._ids(request, *actions)
        return ids is None or self._owner(obj) in ids

    def _ids(self, request: HttpRequest, *actions: str) -> list[UUID] | None:
        return sight.organization_ids(signed_in(request), *map(self._permission, actions))

    def _permission(self, action: str) -> str:
        special = self.special_permissions.get(action)
        return special or f"{self.opts.app_label}.{get_permission_codename(action, self.opts)}"

    def _guarded(self, action: Any) -> Any:
        # a tuple for Django 5.2, a dataclass for 6.1
        if isinstance(action, tuple):
            return (self._where_allowed(action[0]), *action[1:])
        return replace(action, func=self._where_allowed(action.func))

    def _where_allowed(self, action: _Action) -> _Action:
        needed: Sequence[str] = getattr(action, "allowed_permissions", ())

        @wraps(action)
        def allowed(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            for one in needed:
                ids, seen = self._ids(request, one), self._ids(request, "view", "change")
                if ids is None or seen is None or set(seen) <= set(ids):
                    continue
                left = queryset.count() - self._of(queryset, ids).count()
                if left:
                    text = ngettext(
                        "You may not do this with %d of the selected rows: nothing was done.",
                        "You may not do this with %d of the selected rows: nothing was done.",
                        left,
                    )
                    messages.error(request, text % left)
                    return None
            return action(model_admin, request, queryset)

        return allowed


class PeopleScopedAdmin(ScopedAdmin):
    """Rows of people who are members of such an organization. `person_path` leads from a row to the person's id."""

    person_path = "user_id"
    page_key: tuple[str, ...] = ("pk",)

    def _of(self, rows: QuerySet[Any], organization_ids: list[UUID]) -> QuerySet[Any]:
        # no join: somebody who is a member of two is one person
        people = Membership.objects.filter(organization_id__in=organization_ids).values("user_id")
        return rows.filter(**{f"{self.person_path}__in": people})

    def _allows(self, request: HttpRequest, obj: Any, *actions: str) -> bool:
        if obj is None:
            return True
        ids = self._ids(request, *actions)
        person = obj.pk if self.person_path == "pk" else getattr(obj, self.person_path)
        return ids is None or Membership.objects.filter(user_id=person, organization_id__in=ids).exists()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of nobody who can do more, or who belongs to others as well."""
        return super().has_change_permission(request, obj) and self._looks_after(request, obj, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of nobody who can do more, or who belongs to others as well."""
        return super().has_delete_permission(request, obj) and self._looks_after(request, obj, "delete")

    def _looks_after(self, request: HttpRequest, obj: Any, action: str) -> bool:
        if obj is None:
            return True
        person = obj if self.person_path == "pk" else obj.user
        return sight.may_look_after(signed_in(request), person, self._permission(action))


class ReadOnlyScopedAdmin(ScopedAdmin):
    """Rows that only the product itself writes. They go with what they belong to, whoever may delete that."""

    goes_along = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows come from the product."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is deleted by hand."""
        return False


def signed_in(request: HttpRequest) -> User:
    """The signed-in person; the admin lets nobody else in."""
    return cast(User, request.user)
