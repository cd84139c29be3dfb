"""Attempts in the admin: one line for each start of a job."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from admin_lists.moments import ago, exact_time

from .. import clock
from ..history import lookup, verdict
from ..models import Attempt
from .filters import OutcomeFilter
from .marks import outcome_mark
from .readonly import ReadOnlyAdmin
from .sight import sees_all


class AttemptAdmin(ReadOnlyAdmin):
    """The newest attempts of all jobs."""

    list_display = ("id", "job_link", "run", "number", "outcome_shown", "worker", "ended", "ran", "problem")
    list_filter = (OutcomeFilter,)
    numbers = ("ran",)
    empty_text = _("A line appears here when a worker has started a job and its start has ended, well or not.")
    allowed_lookups = frozenset({"job", "job__id__exact"})
    fields = (
        "job_link",
        "run",
        "number",
        "outcome_shown",
        "worker",
        "claimed_shown",
        "started_shown",
        "ended_shown",
        "ran",
        "error_shown",
        "trace",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows without their tracebacks; an attempt's page reads its own."""
        return super().get_queryset(request).defer("traceback")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The attempts of everybody's jobs are for those who see everybody's; a job's page shows its own."""
        return super().has_view_permission(request, obj) and sees_all(request, "jobs.view_attempt")

    @admin.display(description=_("job"))
    def job_link(self, attempt: Attempt) -> str:
        """The job's page."""
        address = reverse(f"{self.admin_site.name}:jobs_job_change", args=[attempt.job_id])
        return format_html('<a href="{}"><code>{}</code></a>', address, attempt.job_id)

    @admin.display(description=_("outcome"))
    def outcome_shown(self, attempt: Attempt) -> str:
        """How it ended, as a coloured word."""
        return outcome_mark(attempt.outcome)

    @admin.display(description=_("ended"))
    def ended(self, attempt: Attempt) -> str:
        """How long ago, with the moment on hover."""
        return ago(attempt.ended_at, clock.now())

    @admin.display(description=_("claimed"))
    def claimed_shown(self, attempt: Attempt) -> str:
        """The exact moment."""
        return exact_time(attempt.claimed_at)

    @admin.display(description=_("started"))
    def started_shown(self, attempt: Attempt) -> str:
        """The exact moment."""
        return exact_time(attempt.started_at)

    @admin.display(description=_("ended"))
    def ended_shown(self, attempt: Attempt) -> str:
        """The exact moment."""
        return exact_time(attempt.ended_at)

    @admin.display(description=_("ran"))
    def ran(self, attempt: Attempt) -> str:
        """From started to ended."""
        return verdict.duration(verdict.seconds_between(attempt.started_at, attempt.ended_at))

    @admin.display(description=_("error"))
    def problem(self, attempt: Attempt) -> str:
        """The error's first words."""
        return Truncator(attempt.shown_error()).chars(80)

    @admin.display(description=_("traceback"), empty_value="–")
    def trace(self, attempt: Attempt) -> str | None:
        """The traceback as it was, without the job's personal arguments."""
        mask = lookup.mask_of(attempt.job)
        return format_html("<pre>{}</pre>", mask(attempt.traceback)) if attempt.traceback else None

    @admin.display(description=_("error"))
    def error_shown(self, attempt: Attempt) -> str:
        """The whole error, without the job's personal arguments."""
        return lookup.mask_of(attempt.job)(attempt.shown_error())
