"""The actions of the job list, and what each takes."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from ..models import Job
from . import many, valued
from .buttons import BUTTONS
from .readonly import ReadOnlyAdmin
from .sight import may


class JobActions(ReadOnlyAdmin):
    """Each goes through `jobs.operate`, as the buttons of a job's page do."""

    actions = (
        *("retry_selected", "promote_selected", "cancel_selected", "discard_selected"),
        *("prioritize_selected", "reschedule_selected"),
    )

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """May retry dead letters."""
        return may(request, BUTTONS["retry"].permission)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """May cancel jobs."""
        return may(request, BUTTONS["cancel"].permission)

    def has_discard_permission(self, request: HttpRequest) -> bool:
        """May discard dead letters."""
        return may(request, BUTTONS["discard"].permission)

    def has_promote_permission(self, request: HttpRequest) -> bool:
        """May let scheduled jobs run now."""
        return may(request, BUTTONS["promote"].permission)

    @admin.action(description=_("Retry the selected dead letters"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Retry what was ticked."""
        return many.act(self, request, queryset, BUTTONS["retry"])

    @admin.action(description=_("Run the selected jobs now"), permissions=["promote"])
    def promote_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Make due what was ticked."""
        return many.act(self, request, queryset, BUTTONS["promote"])

    @admin.action(description=_("Cancel the selected jobs"), permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Cancel what was ticked."""
        return many.act(self, request, queryset, BUTTONS["cancel"])

    @admin.action(description=_("Discard the selected dead letters"), permissions=["discard"])
    def discard_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Discard what was ticked."""
        return many.act(self, request, queryset, BUTTONS["discard"])

    @admin.action(description=_("Change the priority of the selected jobs"), permissions=["promote"])
    def prioritize_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Ask which, and give it to what was ticked."""
        return valued.act(self, request, queryset, "set_priority")

    @admin.action(description=_("Change when the selected jobs are due"), permissions=["promote"])
    def reschedule_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Ask when, and give it to what was ticked."""
        return valued.act(self, request, queryset, "reschedule")
