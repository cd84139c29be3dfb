"""Batches in the admin: a line a batch, and a page with its progress, its jobs by state and what follows its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from admin_lists import moments
from admin_lists.marks import Mark, marked
from admin_lists.search import as_uuid

from .. import clock
from ..errors import BrokerAway, UnknownBatch
from ..history import batches, live, lookup
from ..history.batch_counts import BatchCounts
from ..models import Batch
from ..operate.batches import cancel_batch
from ..states import State
from ..visible import visible
from .readonly import ReadOnlyAdmin
from .sight import may, sees_all

#: Jobs of a batch on a page, and seconds of a request that cancels.
SHOWN, LONGEST = 50, 5.0
#: How a batch's jobs are counted, in the order of the bar.
STATES = ("completed", "failed", "cancelled", "expired", "active", "waiting")
CANCEL = "jobs.cancel_job"


class BatchAdmin(ReadOnlyAdmin):
    """The newest batches."""

    list_display = ("named", "state", "created", "ended")
    search_ids = ("id",)
    empty_text = _(
        "A batch appears here when code opens one: with Batch(…) as batch. Its jobs have one count and one end."
    )
    search_beginnings = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may look at everybody's jobs."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A batch may have jobs of any scope: it is for those who see everybody's."""
        return may(request, "jobs.view_job") and sees_all(request)

    def get_urls(self) -> list[URLPattern]:
        """The list, a page for each batch, and its button."""
        view = self.admin_site.admin_view(self.cancel_view)
        return [path("<uuid:id>/cancel/", view, name="jobs_batch_cancel"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The list, after the ends that the broker has told are heard of."""
        if self.has_view_permission(request):
            live.hear()
        return super().changelist_view(request, *args, **kwargs)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of a batch."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        live.hear()
        batch = self.get_object(request, unquote(object_id))
        site = self.admin_site.name
        if batch is None:
            text = gettext("There is no batch %(id)s: it went some days after its end.")
            self.message_user(request, text % {"id": object_id}, messages.WARNING)
            return HttpResponseRedirect(reverse(f"{site}:jobs_batch_changelist"))
        counts, now = batches.counts_of(batch.pk, hears=False), clock.now()
        context = {
            **self.admin_site.each_context(request),
            "title": visible(str(batch)),
            "subtitle": None,
            "opts": self.opts,
            "back": reverse(f"{site}:jobs_batch_changelist"),
            "batch": batch,
            "state": _state(batch),
            "counts": counts,
            "progress": number_format(100 * counts.progress, 0 if counts.progress in (0, 1) else 1),
            "parts": _parts(counts),
            "pace": _pace(batch, counts),
            "now": now,
            "followers": self._followers(batch),
            "cancel": self._cancel_address(request, batch),
            **self._jobs(request, batch),
            **(extra_context or {}),
        }
        request.current_app = site
        return TemplateResponse(request, "admin/jobs/batch/page.html", context)

    def cancel_view(self, request: HttpRequest, id: UUID) -> HttpResponse:
        """Cancel what has not ended."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_permission(request) or not (request.user.has_perm(CANCEL) and sees_all(request, CANCEL)):
            raise PermissionDenied
        try:
            is_more = cancel_batch(id, longest=LONGEST, by=cast(AbstractBaseUser, request.user))
        except (BrokerAway, UnknownBatch) as refusal:
            self.message_user(request, capfirst(str(refusal)), messages.ERROR)
        else:
            text = gettext("The batch is cancelled: what waited does not start, what runs is asked to stop.")
            self.message_user(request, text, messages.SUCCESS)
            if is_more:
                self.message_user(request, gettext("Some are left: do it again for these."), messages.WARNING)
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:jobs_batch_change", args=[id]))

    @admin.display(description=_("batch"))
    def named(self, batch: Batch) -> str:
        """Its name, or its id."""
        return visible(str(batch))

    @admin.display(description=_("state"))
    def state(self, batch: Batch) -> str:
        """In a word."""
        return _state(batch)

    @admin.display(description=_("created"))
    def created(self, batch: Batch) -> str:
        """How long ago, with the moment on hover."""
        return moments.ago(batch.created_at, clock.now())

    @admin.display(description=_("ended"))
    def ended(self, batch: Batch) -> str:
        """How long ago, with the moment on hover."""
        return "–" if batch.ended_at is None else moments.ago(batch.ended_at, clock.now())

    def _cancel_address(self, request: HttpRequest, batch: Batch) -> str:
        may_cancel = request.user.has_perm(CANCEL) and sees_all(request, CANCEL)
        if batch.ended_at is not None or not may_cancel:
            return ""
        return reverse(f"{self.admin_site.name}:jobs_batch_cancel", args=[batch.pk])

    def _followers(self, batch: Batch) -> list[tuple[str, str, UUID]]:
        words = {
            "complete": gettext("follows its end"),
            "success": gettext("follows if all complete"),
            "failure": gettext("follows if not"),
        }
        found = sorted(batches.followers(batch.pk).items())
        address = f"{self.admin_site.name}:jobs_job_change"
        return [(words[role], reverse(address, args=[job]), job) for role, job in found]

    def _jobs(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        """Some of its jobs, in one state or all, in the order of their ids."""
        state = request.GET.get("state", "")
        state = state if state in STATES else ""
        after = as_uuid(request.GET.get("after", "")) or UUID(int=0)
        page = batches.jobs_of(batch.pk, state, after, SHOWN + 1)
        rows = {job.pk: job for job in lookup.all_jobs().filter(pk__in=[id for id, _state in page]).defer("result")}
        lines = [
            {
                "id": id,
                "job": rows.get(id),
                "state": rows[id].shown_state() if id in rows else ended or State.CANCELLED,
                "address": reverse(f"{self.admin_site.name}:jobs_job_change", args=[id]) if id in rows else "",
            }
            for id, ended in page[:SHOWN]
        ]
        more = f"?state={state}&after={lines[-1]['id']}#jobs" if len(page) > SHOWN else ""
        return {"lines": lines, "chosen": state, "more": more}


def _state(batch: Batch) -> SafeString:
    if batch.succeeded:
        return marked(Mark("good", "check"), pgettext("batch", "succeeded"))
    if batch.cancelled:
        return marked(Mark("quiet", "slash"), pgettext("batch", "cancelled"))
    if batch.ended_at is None:
        return marked(Mark("run", "play"), pgettext("batch", "runs"))
    return marked(Mark("bad", "cross"), pgettext("batch", "ended, not all completed"))


def _parts(counts: BatchCounts) -> list[dict[str, Any]]:
    """The bar's parts, from the left, in thousandths of its width."""
    found, left, total = [], 0, counts.total or 1
    for name in STATES:
        number = getattr(counts, name)
        width = max(4, round(1_000 * number / total)) if number else 0
        found.append({"state": name, "number": number, "x": left, "width": min(width, 1_000 - left)})
        left += width
    return found


def _pace(batch: Batch, counts: BatchCounts) -> dict[str, Any] | None:
    """How many have ended in a minute so far, and when the rest has at this pace; None: too little is known."""
    end = batch.ended_at or clock.now()
    seconds = (end - batch.created_at).total_seconds()
    if counts.ended < 1 or seconds <= 0:
        return None
    per_second = counts.ended / seconds
    left = counts.total - counts.ended
    expected = None
    if batch.ended_at is None and left:
        expected = end + timedelta(seconds=min(left / per_second, 10 * 365 * 86_400))
    return {"a_minute": number_format(60 * per_second, 0 if per_second > 1 / 6 else 2), "expected": expected}
