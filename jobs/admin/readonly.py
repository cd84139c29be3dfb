"""An admin that shows rows and lets nobody edit them."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from admin_lists.keyset_admin import KeysetAdmin

from ..conf import jobs_settings


class ReadOnlyAdmin(KeysetAdmin):
    """Newest first, by primary key; rows change only by their own buttons."""

    change_list_template = "admin/jobs/change_list.html"
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows on the database that holds the jobs."""
        rows: QuerySet[Any] = super().get_queryset(request).using(jobs_settings().database)
        return rows

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs are enqueued, not added."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Retention removes rows, nobody else."""
        return False
