"""The overview of all queues, the page of one queue and the summary on the admin's first page.

Each is one part that follows the server by itself (static/jobs/live.js). It is drawn once for all who may see the same,
and answered with 304 where nothing has changed: what only time changes stands in `<time>`, which the page moves itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseNotModified
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.cache import patch_cache_control
from django.utils.crypto import salted_hmac
from django.utils.http import parse_etags
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from .. import defined
from ..errors import BrokerAway
from ..history import verdict
from ..history.deploys import Deploy, deploys_since
from ..history.hours import Figures, figures_by_hour, figures_by_task, sum_of
from ..history.running import Held, held_by
from ..history.status.queues import QueueReport
from ..history.status.report import Report, headline, report
from ..models import Job
from ..operate.workers import SeenWorker, workers
from ..states import Shown, State
from ..visible import visible
from . import charts, spans
from .limits import CHANGE, LimitsForm
from .looks import Looks
from .remedies import Allowed, remedy_of
from .sight import sees_all

PAUSE = "jobs.pause_queue"
#: Worker processes on the page, jobs of each, and tasks of a queue.
MOST_WORKERS, MOST_JOBS, MOST_TASKS = 200, 5, 100
#: How a queue's jobs are counted: those that people ask for first, and the others.
FIRST: Sequence[Shown | State] = (Shown.WAITING, Shown.SCHEDULED, Shown.RETRYING, State.ACTIVE, State.FAILED)
OTHERS = (State.BLOCKED, State.PENDING, State.COMPLETED, State.CANCELLED, State.EXPIRED)
#: What is of one reader or one moment; in what is drawn, words that nobody can guess stand for it.
_TOKEN, _TAG, _AT = "token", "tag", "at"
_MOVING = re.compile(r"(<time\b[^>]*>)[^<]*")


@dataclass(frozen=True, slots=True)
class Look:
    """All that the parts are drawn from, as of one moment."""

    report: Report
    workers: Sequence[SeenWorker]
    held: Mapping[Any, Sequence[Held]]
    hours: Mapping[str, Mapping[datetime, Figures]]
    deploys: Sequence[Deploy]


@dataclass(frozen=True, slots=True)
class Part:
    """What is drawn, with places for what is the reader's own; `tag` is its ETag."""

    html: str
    tag: str
    at: int

    def for_reader(self, request: HttpRequest) -> SafeString:
        """The part with the reader's own token in its forms."""
        text = self.html.replace(_place(_TAG), self.tag.strip('"')).replace(_place(_AT), str(self.at))
        if _place(_TOKEN) in text:
            text = text.replace(_place(_TOKEN), get_token(request))
        return mark_safe(text)


#: Seconds after which hours that are over are counted again: a late keeper may add to them.
PAST_SERVES = 60.0
_past: Looks[Mapping[str, Mapping[datetime, Figures]]] = Looks(PAST_SERVES)
_looks: Looks[Look] = Looks()
_parts: Looks[Part] = Looks()


def urls(model_admin: ModelAdmin[Job]) -> list[URLPattern]:
    """The queues' pages, and the parts that pages fetch."""
    view, options = model_admin.admin_site.admin_view, {"model_admin": model_admin}
    return [
        path("overview/", view(part_view, cacheable=True), {**options, "kind": "overview"}, "jobs_overview_part"),
        path("summary/", view(part_view, cacheable=True), {**options, "kind": "summary"}, "jobs_summary_part"),
        path("queues/<str:queue>/", view(queue_page), options, "jobs_queue"),
        path(
            "queues/<str:queue>/part/", view(part_view, cacheable=True), {**options, "kind": "queue"}, "jobs_queue_part"
        ),
    ]


def part_for(request: HttpRequest, kind: str, queue: str = "", *, fresh: bool = False) -> Part:
    """A part as this reader may see it: the overview, the summary or one queue."""
    site = str(request.current_app)
    asked = request.GET.get("range", "")
    span = asked if asked in spans.RANGES and kind != "summary" else spans.USUAL
    allowed = Allowed(
        pauses=request.user.has_perm(PAUSE) and sees_all(request, PAUSE),
        limits=request.user.has_perm(CHANGE) and sees_all(request, CHANGE),
    )
    tongue = (get_language(), get_current_timezone_name())

    def draw() -> Part:
        look = _looks.get((span, kind == "summary", *tongue), lambda: _look(span, kind), fresh=fresh)
        return _drawn(kind, _context(kind, look, span, site, allowed, queue), look)

    return _parts.get((kind, queue, span, site, allowed, *tongue), draw, fresh=fresh)


def part_view(request: HttpRequest, model_admin: ModelAdmin[Job], kind: str, queue: str = "") -> HttpResponse:
    """A part by itself, or 304 where the page shows it already."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    _check(request)
    request.current_app = model_admin.admin_site.name
    if kind == "queue":
        _check_queue(queue)
    part = part_for(request, kind, queue)
    given = parse_etags(request.headers.get("If-None-Match", ""))
    response: HttpResponse
    if part.tag in [one.removeprefix("W/") for one in given]:
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(part.for_reader(request))
    response.headers["ETag"] = part.tag
    patch_cache_control(response, private=True, no_cache=True)
    return response


def queue_page(request: HttpRequest, queue: str, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """One queue: its numbers, its charts, its tasks and its workers."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    _check(request)
    _check_queue(queue)
    request.current_app = model_admin.admin_site.name
    part = part_for(request, "queue", queue, fresh=True)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": queue,
        "subtitle": None,
        "opts": model_admin.opts,
        "part": part.for_reader(request),
    }
    return TemplateResponse(request, "admin/jobs/queue/page.html", context)


def forget_looks() -> None:
    """Look anew at everything; for tests."""
    _past.forget()
    _looks.forget()
    _parts.forget()


def _check(request: HttpRequest) -> None:
    if not (request.user.has_perm("jobs.view_job") and sees_all(request)):
        raise PermissionDenied


def _check_queue(queue: str) -> None:
    if queue not in defined.queues() and queue not in {row.name for row in report().queues}:
        raise Http404


def _look(span: str, kind: str) -> Look:
    seen = report()
    if kind == "summary":
        return Look(seen, (), {}, {}, ())
    found: Sequence[SeenWorker] = ()
    held: Mapping[Any, Sequence[Held]] = {}
    try:
        found = workers()
        held = held_by({one.id: one.queue for one in found})
    except BrokerAway:  # the findings say so
        pass
    since = spans.span_of(span, seen.at).starts[0]
    return Look(seen, found, held, _hours(since, seen.at), deploys_since(since))


def _hours(since: datetime, now: datetime) -> Mapping[str, Mapping[datetime, Figures]]:
    """The figures by queue and hour; of the hours that are over as they were up to a minute ago."""
    # facts of the hour before still come in while this one begins
    recent = max(since, now.replace(minute=0, second=0, microsecond=0) - spans.HOUR)
    past = _past.get((since, recent), lambda: figures_by_hour(since, until=recent)) if since < recent else {}
    new = figures_by_hour(recent)
    return {queue: {**past.get(queue, {}), **new.get(queue, {})} for queue in {*past, *new}}


def _place(name: str) -> str:
    """The same in every process, or a part would have another tag in each."""
    return salted_hmac("jobs.admin.overview", name, algorithm="sha256").hexdigest()[:32]


def _drawn(kind: str, context: dict[str, Any], look: Look) -> Part:
    html = render_to_string(f"admin/jobs/overview/{kind}.html", {**context, "csrf_token": _place(_TOKEN)})
    tag = hashlib.sha256(_MOVING.sub(r"\1", html).encode()).hexdigest()[:32]
    return Part(html, f'"{tag}"', int(look.report.at.timestamp() * 1_000))


def _context(kind: str, look: Look, span: str, site: str, allowed: Allowed, queue: str) -> dict[str, Any]:
    steps = spans.span_of(span, look.report.at)
    names = {"overview": "jobs_overview_part", "summary": "jobs_summary_part", "queue": "jobs_queue_part"}
    chosen = "" if span == spans.USUAL else f"?{urlencode({'range': span})}"
    findings = [one for one in look.report.findings if kind != "queue" or one.queue == queue]
    context = {
        "tag": _place(_TAG),
        "at": _place(_AT),
        "address": reverse(f"{site}:{names[kind]}", args=[queue] if kind == "queue" else []) + chosen,
        "now": look.report.at,
        "headline": headline(findings),
        "needs_person": any(one.needs_person for one in findings),
        "findings": [(one, remedy_of(one, site, allowed)) for one in findings],
        "ranges": [(name, label, name == span) for name, (label, _number, _step) in spans.RANGES.items()],
        "span": span,
        "overview": reverse(f"{site}:app_list", args=["jobs"]),
        "may_pause": allowed.pauses,
        "may_limit": allowed.limits,
        "queues": [
            _queue(row, look, steps, site, allowed, span) for row in look.report.queues if queue in ("", row.name)
        ],
        "workers": [] if kind == "summary" else _workers(look, site, queue),
        "deploys": list(reversed(look.deploys)),
    }
    if kind == "queue":
        context.update(_of_queue(look, steps, queue))
    return context


def _of_queue(look: Look, steps: charts.Span, queue: str) -> dict[str, Any]:
    figures = spans.by_step(look.hours.get(queue, {}), steps)
    now = look.report.at
    passed = spans.seconds_of(steps, now)
    by_task = sorted(figures_by_task(steps.starts[0], queue).items(), key=lambda one: (-one[1].attempts, one[0]))
    return {
        "charts": spans.charts_of(figures, steps, look.deploys),
        "table": spans.table_of(figures, steps, look.deploys, now),
        "outcomes": [word for _names, _tone, word in spans.OUTCOMES],
        "classes": spans.classes_table(sum_of(figures)),
        "tasks": [(visible(name) or "–", spans.told(one, passed)) for name, one in by_task[:MOST_TASKS]],
        "is_empty": not by_task,
    }


def _queue(row: QueueReport, look: Look, steps: charts.Span, site: str, allowed: Allowed, span: str) -> dict[str, Any]:
    address = reverse(f"{site}:jobs_job_changelist")
    figures = spans.by_step(look.hours.get(row.name, {}), steps)
    told = spans.told(sum_of(figures), spans.seconds_of(steps, look.report.at))
    own = [one for one in look.workers if one.queue == row.name]
    page = _of_queue_named(row.name, site, "jobs_queue")
    chosen = "" if span == spans.USUAL else f"?{urlencode({'range': span})}"

    def cell(state: Shown | State) -> dict[str, Any]:
        given = row.shown.get(state, "–") if isinstance(state, Shown) else row.states[state]
        return {
            "state": state.value,
            "count": given,
            "is_some": bool(getattr(given, "number", 0)),
            "address": f"{address}?{urlencode({'queue': row.name, 'state': state.value})}",
        }

    paused = row.counts is not None and row.counts.paused
    name = "resume" if paused else "pause"
    oldest = row.counts.oldest_ready_at if row.counts is not None and row.counts.waiting else None
    return {
        "report": row,
        "page": page + chosen if page else "",
        "list": f"{address}?{urlencode({'queue': row.name})}",
        "first": [cell(state) for state in FIRST],
        "others": [cell(state) for state in OTHERS],
        "oldest": oldest,
        "oldest_moment": oldest.isoformat() if oldest is not None else "",
        "oldest_text": verdict.duration(row.oldest_wait),
        "told": told,
        "sparkline": charts.sparkline([one.attempts for one in figures]) if len(figures) > 2 else [],
        "marks": [
            charts.Mark(steps.place(one.at, 0, 120), visible(one.label))
            for one in look.deploys
            if len(figures) > 2 and one.at >= steps.starts[0]
        ],
        "busy": sum(one.busy for one in own),
        "places": sum(one.concurrency for one in own),
        "busy_gauge": _gauge(sum(one.busy for one in own), sum(one.concurrency for one in own)),
        "most": row.limits.global_concurrency if row.limits is not None else None,
        "rate": row.limits.rate_limit if row.limits is not None else None,
        "rate_gauge": _gauge(row.starts or 0, row.limits.rate_limit.limit)
        if row.limits is not None and row.limits.rate_limit is not None
        else None,
        "groups": _of_queue_named(row.name, site, "jobs_queue_groups"),
        "tags": len(row.counts.paused_tags) if row.counts else 0,
        "paused": paused,
        "button": _of_queue_named(row.name, site, f"jobs_queue_{name}"),
        "limits": _of_queue_named(row.name, site, "jobs_queue_limits"),
        "form": LimitsForm(row.limits, auto_id=f"limits-{row.name}-%s")
        if allowed.limits and row.limits is not None
        else None,
    }


def _of_queue_named(queue: str, site: str, name: str) -> str:
    try:
        return reverse(f"{site}:{name}", args=[queue])
    except NoReverseMatch:  # a row can have a queue that no code could define
        return ""


def _gauge(number: int, of: int) -> int:
    return round(100 * min(1.0, number / of)) if of else 0


def _workers(look: Look, site: str, queue: str) -> list[dict[str, Any]]:
    names, address = {True: "resume", False: "pause"}, reverse(f"{site}:jobs_job_changelist")
    found = []
    for one in [one for one in look.workers if queue in ("", one.queue)][:MOST_WORKERS]:
        jobs = look.held.get(one.id, ())
        found.append(
            {
                "seen": one,
                "busy": max(one.busy, len(jobs)),
                "jobs": [
                    {
                        "task": visible(job.task),
                        "since": job.since,
                        "address": reverse(f"{site}:jobs_job_change", args=[job.id]),
                    }
                    for job in jobs[:MOST_JOBS]
                ],
                "more": max(one.busy, len(jobs)) - min(len(jobs), MOST_JOBS),
                "held": f"{address}?{urlencode({'queue': one.queue, 'state': 'active'})}",
                "button": reverse(f"{site}:jobs_worker_{names[one.paused]}", args=[one.id]),
            }
        )
    return found


def part_or_nothing(request: HttpRequest, kind: str) -> SafeString | str:
    """The part for a page that has just been asked for; nothing for who does not see everybody's jobs."""
    if not (request.user.has_perm("jobs.view_job") and sees_all(request)):
        return ""
    return part_for(request, kind, fresh=True).for_reader(request)
