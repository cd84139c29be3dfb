"""What every admin page of the product shares: staff see their own organisations' rows, a superuser sees all."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest

from ..models import Organization


class ScopedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows of the organisations that the person is a member of. `organization_path` leads from a row to its own."""

    organization_path = "organization"
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that this person may see."""
        rows = super().get_queryset(request)
        if signed_in(request).is_superuser:
            return rows
        return rows.filter(**{f"{self.organization_path}__in": own_organizations(request)})

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        """Only own organisations can be chosen."""
        if db_field.related_model is Organization and not signed_in(request).is_superuser:
            kwargs["queryset"] = own_organizations(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class ReadOnlyScopedAdmin(ScopedAdmin):
    """Rows that only the product itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows come from the product."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is deleted by hand."""
        return False


def own_organizations(request: HttpRequest) -> QuerySet[Organization]:
    """The organisations that the signed-in person is a member of."""
    return Organization.objects.filter(memberships__user_id=signed_in(request).pk)


def signed_in(request: HttpRequest) -> Any:
    """The signed-in person; the admin lets nobody else in."""
    return cast(AbstractBaseUser, request.user)
