"""The page of the processes: each worker and keeper, when it was last heard of, and what it runs since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext

from admin_lists.marks import Mark, marked

from .. import reasons
from ..broker import get_broker
from ..conf import jobs_settings
from ..errors import BrokerAway
from ..history.processes import seen_processes
from ..history.running import Held, held_by
from ..history.verdict import duration, seconds_between
from ..models import Job, Process
from ..visible import visible
from .sight import sees_all

PAUSE = "jobs.pause_queue"
#: Processes on the page, and jobs of each.
MOST, MOST_JOBS = 200, 20


def workers_page(request: HttpRequest, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """Every process with a lease, and those whose lease has ended and whose jobs are still to be given back."""
    if not (model_admin.has_view_permission(request) and sees_all(request)):
        raise PermissionDenied
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    rows, held, now = list[Process](), dict[UUID, Sequence[Held]](), None
    try:
        now, rows = get_broker().now(), seen_processes()
        held = dict(held_by({row.pk: row.queue for row in rows if row.kind == "worker"}))
    except BrokerAway as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    may_pause = request.user.has_perm(PAUSE) and sees_all(request, PAUSE)
    site = model_admin.admin_site.name
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Workers"),
        "subtitle": None,
        "opts": model_admin.opts,
        "lines": [_line(row, held, now, site, may_pause=may_pause) for row in rows[:MOST] if now is not None],
        "more": max(0, len(rows) - MOST),
        "now": now,
    }
    request.current_app = site
    return TemplateResponse(request, "admin/jobs/worker/list.html", context)


def _line(
    row: Process, held: Mapping[UUID, Sequence[Held]], now: datetime, site: str, *, may_pause: bool
) -> dict[str, Any]:
    jobs, is_worker, is_alive = held.get(row.pk, ()), row.kind == "worker", row.lease_until > now and not row.ending
    act = "resume" if row.paused else "pause"
    silent = seconds_between(row.renewed_at, now)
    return {
        "row": row,
        "name": visible(f"{row.host}:{row.pid}"),
        "kind": pgettext("process", "worker") if is_worker else pgettext("process", "keeper"),
        "state": _state(row, is_alive),
        "trouble": visible(reasons.translated(row.trouble)) if row.trouble else "",
        "heard": duration(silent),
        "is_silent": silent is not None and silent > jobs_settings().lease / 2,
        "busy": f"{len(jobs)} / {row.concurrency}" if is_worker else "–",
        "jobs": [
            (visible(job.task), job.since, reverse(f"{site}:jobs_job_change", args=[job.id]))
            for job in jobs[:MOST_JOBS]
        ],
        "more": max(0, len(jobs) - MOST_JOBS),
        "act": act if may_pause and is_worker and is_alive else "",
        "address": reverse(f"{site}:jobs_worker_{act}", args=[row.pk]),
    }


def _state(row: Process, is_alive: bool) -> SafeString:
    if not is_alive:
        return marked(Mark("bad", "cross"), pgettext("process", "dead: its jobs are given back"))
    if row.trouble:
        return marked(Mark("again", "triangle"), pgettext("process", "in trouble"))
    if row.paused:
        return marked(Mark("quiet", "bars"), pgettext("process", "paused"))
    return marked(Mark("good", "check"), pgettext("process", "alive"))
