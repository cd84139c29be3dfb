"""An admin that shows rows and lets nobody edit them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from ..conf import jobs_settings
from .keyset import KeysetChangeList


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Newest first, 50 a page by primary key; rows change only by their own buttons."""

    list_per_page = 50
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()
    ordering = ("-pk",)
    #: parameters of the address, beside the filters' own, that narrow the list down; each is served by an index
    allowed_lookups: frozenset[str] = frozenset()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list pages by key."""
        return KeysetChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows on the database that holds the jobs."""
        return super().get_queryset(request).using(jobs_settings().database)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """No look-ups of a visitor's own making: they would scan the table."""
        return lookup in self.allowed_lookups

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs are enqueued, not added."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Retention removes rows, nobody else."""
        return False
