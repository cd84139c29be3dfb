"""How a job's page follows the job: what has to change for the page to be drawn anew, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db.models import Max
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.template.response import TemplateResponse
from django.utils.cache import patch_cache_control
from django.utils.http import parse_etags
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from .. import clock
from ..history import inside, lookup
from ..history.why import why_line
from ..models import Attempt, Job, LogPart
from ..operate.stack import last_stack
from ..states import ENDED, State
from .sight import of_scopes, scopes_of

#: Seconds after which a job that runs is drawn anew though nothing has changed but the time: at first, and later.
SOON, LATER, SHORT = 5, 60, 60


@dataclass(frozen=True, slots=True)
class Followed:
    """What the page tells jobs/static/jobs/live.js; `at` in milliseconds, `done`: nothing changes any more."""

    address: str
    tag: str
    at: int
    done: bool


def followed(job: Job, request: HttpRequest, address: str) -> Followed:
    """What the page of this job says of itself to who looks at it now."""
    return Followed(address, _tag(job, request), int(clock.now().timestamp() * 1_000), job.state in ENDED)


def answer(job: Job, request: HttpRequest, body: Callable[[], dict[str, Any]]) -> HttpResponse:
    """The page's inside, or 304 where the reader has it as it is; `body` gathers it."""
    tag = _tag(job, request)
    response: HttpResponse
    if tag in [one.removeprefix("W/") for one in parse_etags(request.headers.get("If-None-Match", ""))]:
        response = HttpResponseNotModified()
    else:
        response = TemplateResponse(request, "admin/jobs/job/body.html", body())
    response.headers["ETag"] = tag
    # as the page itself: live.js keeps the tag, and nothing keeps the text
    patch_cache_control(response, private=True, no_cache=True, no_store=True)
    return response


def why_said(job: Job) -> str:
    """Why the job waits, or where its time went; asked once a request."""
    said: str | None = job.__dict__.get("_why_said")
    if said is None:
        said = job.__dict__["_why_said"] = why_line(job)
    return said


def _tag(job: Job, request: HttpRequest) -> str:
    """Another one as soon as anything that the page shows is another."""
    alias, now, scopes = lookup.all_jobs().db, clock.now(), scopes_of(request)
    stack = last_stack(job)
    children = of_scopes(lookup.all_jobs(), scopes).filter(parent_id=job.pk).order_by("-pk")
    known = (
        (request.user.pk, get_language(), get_current_timezone_name(), scopes),
        (job.run, job.state, job.shown_state(now), job.attempts, job.starts, job.lost, job.alone, job.stored_priority),
        (job.ready_at, job.claimed_at, job.started_at, job.ended_at, job.expires_at, job.unknown_since),
        (job.worker_id, job.cancel_requested, job.message, job.error, job.reason),
        inside.progress_of(job.pk),
        [name for name, _value, _at in inside.steps_of(job.pk)],
        LogPart.objects.using(alias).filter(job_id=job.pk).aggregate(last=Max("pk"))["last"],
        Attempt.objects.using(alias).filter(job_id=job.pk).aggregate(last=Max("pk"))["last"],
        children.values_list("pk").first(),
        None if stack is None else (stack.asked_at, stack.answered_at, stack.late),
        _time(job, now),
    )
    return f'"{sha256(repr(known).encode()).hexdigest()[:32]}"'


def _time(job: Job, now: datetime) -> object:
    """What the time alone changes."""
    if job.state in ENDED:
        return None
    if job.state != State.ACTIVE:
        return why_said(job)
    ran = (now - (job.started_at or job.claimed_at or now)).total_seconds()
    return int(ran // (SOON if ran < SHORT else LATER)), ran < SHORT
