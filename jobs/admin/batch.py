"""Batches in the admin: a line a batch, and a page with its counts and the jobs that follow its end."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from admin_lists.moments import ago, exact_time

from .. import clock
from ..history import batches, live
from ..history.batch_counts import BatchCounts
from ..models import Batch
from .readonly import ReadOnlyAdmin
from .sight import may, sees_all


class BatchAdmin(ReadOnlyAdmin):
    """The newest batches."""

    list_display = ("named", "state", "created", "ended")
    search_ids = ("id",)
    empty_text = _(
        "A batch appears here when code opens one: with Batch(…) as batch. Its jobs have one count and one end."
    )
    search_beginnings = ()
    fields = (
        *("id", "name", "state", "created_shown", "ended_shown"),
        *("total", "waiting", "active", "completed", "failed", "cancelled_jobs", "expired", "following"),
    )
    readonly_fields = fields

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may look at everybody's jobs."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A batch may have jobs of any scope: it is for those who see everybody's."""
        return may(request, "jobs.view_job") and sees_all(request)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The list, after the ends that the broker has told are heard of."""
        if self.has_view_permission(request):
            live.hear()
        return super().changelist_view(request, *args, **kwargs)

    @admin.display(description=_("batch"))
    def named(self, batch: Batch) -> str:
        """Its name, or its id."""
        return str(batch)

    @admin.display(description=_("state"))
    def state(self, batch: Batch) -> str:
        """In a word."""
        if batch.succeeded:
            return pgettext("batch", "succeeded")
        if batch.cancelled:
            return pgettext("batch", "cancelled")
        return pgettext("batch", "runs") if batch.ended_at is None else pgettext("batch", "ended, not all completed")

    @admin.display(description=_("created"))
    def created(self, batch: Batch) -> str:
        """How long ago, with the moment on hover."""
        return ago(batch.created_at, clock.now())

    @admin.display(description=_("ended"))
    def ended(self, batch: Batch) -> str:
        """How long ago, with the moment on hover."""
        return "–" if batch.ended_at is None else ago(batch.ended_at, clock.now())

    @admin.display(description=_("created"))
    def created_shown(self, batch: Batch) -> str:
        """The exact moment."""
        return exact_time(batch.created_at)

    @admin.display(description=_("ended"))
    def ended_shown(self, batch: Batch) -> str:
        """The exact moment."""
        return exact_time(batch.ended_at)

    @admin.display(description=_("jobs"))
    def total(self, batch: Batch) -> int:
        """How many there are."""
        return _counts(batch).total

    @admin.display(description=_("waiting"))
    def waiting(self, batch: Batch) -> int:
        """How many wait."""
        return _counts(batch).waiting

    @admin.display(description=_("active"))
    def active(self, batch: Batch) -> int:
        """How many run."""
        return _counts(batch).active

    @admin.display(description=_("completed"))
    def completed(self, batch: Batch) -> int:
        """How many completed."""
        return _counts(batch).completed

    @admin.display(description=_("failed"))
    def failed(self, batch: Batch) -> int:
        """How many failed."""
        return _counts(batch).failed

    @admin.display(description=_("cancelled"))
    def cancelled_jobs(self, batch: Batch) -> int:
        """How many were cancelled."""
        return _counts(batch).cancelled

    @admin.display(description=_("expired"))
    def expired(self, batch: Batch) -> int:
        """How many expired."""
        return _counts(batch).expired

    @admin.display(description=_("jobs that follow"))
    def following(self, batch: Batch) -> str:
        """The jobs that follow its end, each with a link."""
        words = {
            "complete": gettext("follows its end"),
            "success": gettext("follows if all complete"),
            "failure": gettext("follows if not"),
        }
        lines = [
            (words[role], reverse(f"{self.admin_site.name}:jobs_job_change", args=[job]), job)
            for role, job in sorted(batches.followers(batch.pk).items())
        ]
        return format_html_join(", ", '{}: <a href="{}"><code>{}</code></a>', lines) or "–"


def _counts(batch: Batch) -> BatchCounts:
    """The counts of a row, read once a page."""
    found: BatchCounts | None = batch.__dict__.get("_counts")
    if found is None:
        found = batch.__dict__["_counts"] = batches.counts_of(batch.pk, hears=False)
    return found
