"""What a job's page shows, gathered in a few bounded queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from django.urls import reverse

from .. import clock
from ..define.desk import Progress
from ..history import inside, lookup, verdict
from ..history.flow_graph import flow_of
from ..history.lateness import history_note
from ..history.lookup import Argument
from ..history.timeline import pieces_of
from ..history.waits import waits_of
from ..models import Job
from ..operate.stack import SeenStack, last_stack
from ..origin import origin_of
from ..states import State
from ..visible import visible, visible_json
from .flow import Flow, drawn_flow
from .following import why_said
from .page_links import Link, job_link, job_links, object_link
from .sight import of_scopes
from .starts import Starts, starts_of
from .timeline import Drawing, drawing
from .tracebacks import Block, blocks_of

#: A page shows at most so many lines of the audit log, children, and other jobs of its event.
SHOWN = 200
CHILDREN = 50
OTHERS = 20


@dataclass(frozen=True)
class JobPage:
    """Everything below the verdict."""

    job: Job
    state: str
    verdict: str
    why: str
    arguments: Sequence[Argument]
    revealed: bool
    hides: bool
    arguments_json: str
    result: str | None
    error: str
    key: str
    waited: str
    ran: str
    attempts_allowed: int | None
    event: Link | None
    request: Link | None
    event_others: Sequence[tuple[Link, str]]
    about: Link | None
    parent: Link | None
    children: Sequence[Link]
    more_children: str
    after: Sequence[tuple[Link, Any]]
    before: Sequence[Link]
    starts: Starts
    timeline: Drawing | None
    flow: Flow | None
    stack: SeenStack | None
    stack_blocks: Sequence[Block]
    log: Sequence[LogEntry]
    now: datetime
    history_note: str = ""
    progress: Progress | None = None
    progress_text: str = ""
    steps: Sequence[str] = ()


def job_page(
    job: Job,
    admin_site: AdminSite,
    request: HttpRequest,
    scopes: tuple[str, ...] | None = None,
    revealed: Sequence[Argument] | None = None,
) -> JobPage:
    """The page of one job for who asks, and sees the jobs of these scopes; None: all jobs.

    `revealed` are its arguments where personal ones are to be shown.
    """
    arguments = revealed or lookup.arguments(job)
    now, site = clock.now(), admin_site.name
    shown = job.shown_state(now)
    list_address = reverse(f"{site}:jobs_job_changelist")
    seen = of_scopes(lookup.all_jobs(), scopes)
    event_address = reverse(f"{site}:jobs_job_event", args=[job.event_id]) if job.event_id else ""
    request_id = origin_of(job.message).request_id
    others = (
        [one for one in seen.filter(event_id=job.event_id)[: OTHERS + 1] if one.pk != job.pk] if job.event_id else []
    )
    children = list(seen.filter(parent_id=job.pk).only("task").order_by("-pk")[: CHILDREN + 1])
    parent = seen.filter(pk=job.parent_id).only("task").first() if job.parent_id else None
    mask, waits = lookup.mask_of(job), waits_of(job)
    links = job_links(seen, site, [*(id for id, _state in waits.after), *waits.before])
    starts = starts_of(job, inside.logs_of(job.pk)[0], mask)
    pieces = pieces_of(job, starts.rows, now, waited_for_jobs=bool(waits.after), cut=starts.cut)
    stack = last_stack(job)
    progress = inside.progress_of(job.pk)
    return JobPage(
        job=job,
        state=shown,
        verdict=mask(verdict.job_verdict(job, now, hindrances=False)),
        why=mask(why_said(job)),
        arguments=[
            Argument(visible(one.name), pretty(one.value) if revealed or not one.masked else one.value, one.masked)
            for one in arguments
        ],
        revealed=bool(revealed),
        hides=not revealed and any(one.masked for one in arguments),
        arguments_json=visible_json(
            json.dumps({one.name: one.value for one in arguments}, indent=2, ensure_ascii=False)
        ),
        result=None if job.result is None else pretty(lookup.shown_result(job)),
        key=visible(lookup.shown_key(job) or ""),
        error=mask(job.shown_error()) if job.state in (State.FAILED, State.QUEUED) else "",
        waited=verdict.duration(verdict.seconds_between(job.ready_at, job.started_at or job.claimed_at)),
        ran=verdict.duration(verdict.seconds_between(job.started_at, job.ended_at)),
        attempts_allowed=verdict.attempts_allowed(job),
        event=Link(visible(job.event), event_address) if job.event else None,
        request=Link(request_id, reverse(f"{site}:jobs_job_request", args=[job.pk])) if request_id else None,
        event_others=[(job_link(one, site), one.shown_state(now)) for one in others],
        about=object_link(job.about_type, job.about_id, admin_site, request),
        parent=None if parent is None else job_link(parent, site),
        children=[job_link(child, site) for child in children[:CHILDREN]],
        more_children=f"{list_address}?parent_id={job.pk}" if len(children) > CHILDREN else "",
        after=[(links[id], state or "") for id, state in waits.after],
        before=[links[id] for id in waits.before],
        starts=starts,
        timeline=drawing(pieces),
        stack=stack,
        stack_blocks=blocks_of(visible(mask(stack.text), keep="\n")) if stack is not None and stack.text else (),
        flow=drawn_flow(flow_of(job, seen), job, site, names_batches=scopes is None, now=now),
        log=_log(job),
        now=now,
        history_note=history_note([job.queue]),
        progress=progress,
        progress_text=visible(verdict.progress_text(progress, mask)),
        steps=[visible(mask(name)) for name, _value, _kept_at in inside.steps_of(job.pk)],
    )


def pretty(value: Any) -> str:
    """A JSON value over several lines."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return visible(text, keep="\n\t")


def _log(job: Job) -> Sequence[LogEntry]:
    kind = ContentType.objects.get_for_model(Job)
    lines = LogEntry.objects.filter(content_type=kind, object_id=str(job.pk))
    return list(lines.select_related("user").order_by("-action_time")[:SHOWN])
