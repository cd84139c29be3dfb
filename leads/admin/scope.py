"""What every admin page of the product shares: staff see their own organisations' rows, a superuser sees all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest

from admin_lists.keyset_admin import KeysetAdmin
from admin_lists.owners import rows_of, streams_of

from ..models import Membership, Organization


class ScopedAdmin(KeysetAdmin):
    """Rows of the organisations that the person is a member of. `organization_path` leads from a row to its own."""

    organization_path = "organization"
    page_key: tuple[str, ...] = ("created_at", "pk")
    #: Whether an index has each organisation's rows in the list's order.
    in_order_by_organization = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that this person may see."""
        rows: QuerySet[Any] = super().get_queryset(request)
        if signed_in(request).is_superuser:
            return rows
        return self._of(rows, own_organization_ids(request))

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Each organisation's rows: an index has these in order, and none has those of several organisations."""
        if not self.in_order_by_organization or signed_in(request).is_superuser:
            return [rows]
        return streams_of(rows, self.organization_path, own_organization_ids(request))

    def _of(self, rows: QuerySet[Any], organization_ids: list[UUID]) -> QuerySet[Any]:
        return rows_of(rows, self.organization_path, organization_ids)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        """Only own organisations can be chosen."""
        if db_field.related_model is Organization and not signed_in(request).is_superuser:
            kwargs["queryset"] = own_organizations(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class PeopleScopedAdmin(ScopedAdmin):
    """Rows of people who are members of an own organisation. `person_path` leads from a row to the person's id."""

    person_path = "user_id"
    page_key: tuple[str, ...] = ("pk",)

    def _of(self, rows: QuerySet[Any], organization_ids: list[UUID]) -> QuerySet[Any]:
        # no join: somebody who is a member of two is one person
        people = Membership.objects.filter(organization_id__in=organization_ids).values("user_id")
        return rows.filter(**{f"{self.person_path}__in": people})


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


class EffectAdmin(ReadOnlyScopedAdmin):
    """Rows that state an effect; their error is in the reader's language."""

    readonly_fields = ("shown_error",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """The fields, with the error as it is shown."""
        stored = [name for name in super().get_fields(request, obj) if name != "shown_error"]
        return ["shown_error" if name == "error" else name for name in stored]


def own_organization_ids(request: HttpRequest) -> list[UUID]:
    """The ids of the organisations that the signed-in person is a member of; read once a request."""
    found: list[UUID] | None = getattr(request, "own_organization_ids", None)
    if found is None:
        found = list(own_organizations(request).order_by().values_list("pk", flat=True))
        request.own_organization_ids = found  # type: ignore[attr-defined]
    return found


def own_organizations(request: HttpRequest) -> QuerySet[Organization]:
    """The organisations that the signed-in person is a member of."""
    return Organization.objects.filter(memberships__user_id=signed_in(request).pk)


def signed_in(request: HttpRequest) -> Any:
    """The signed-in person; the admin lets nobody else in."""
    return cast(AbstractBaseUser, request.user)
