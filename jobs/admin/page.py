"""What a job's page shows, gathered in a few bounded queries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from .. import clock
from ..define.desk import Progress
from ..history import inside, live, lookup, verdict
from ..history.lateness import history_note
from ..history.lookup import Argument
from ..history.timeline import pieces_of
from ..history.waits import waits_of
from ..history.why import why_line
from ..models import Job
from ..states import State
from ..visible import visible
from .sight import of_scopes
from .starts import Starts, starts_of
from .timeline import Drawing, drawing

#: A page shows at most so many lines of the audit log, and children.
SHOWN = 200
CHILDREN = 50


@dataclass(frozen=True)
class Link:
    """A text, with an address if the reader may follow it."""

    text: str
    address: str = ""


@dataclass(frozen=True)
class JobPage:
    """Everything below the verdict."""

    job: Job
    state: str
    verdict: str
    why: str
    arguments: Sequence[Argument]
    result: str | None
    error: str
    key: str
    waited: str
    ran: str
    attempts_allowed: int | None
    event_jobs: str
    about: Link | None
    parent: Link | None
    children: Sequence[Link]
    more_children: str
    after: Sequence[tuple[Link, Any]]
    before: Sequence[Link]
    starts: Starts
    timeline: Drawing | None
    log: Sequence[LogEntry]
    now: datetime
    history_note: str = ""
    progress: Progress | None = None
    progress_text: str = ""
    steps: Sequence[str] = ()


def job_page(job: Job, admin_site: AdminSite, request: HttpRequest, scopes: tuple[str, ...] | None = None) -> JobPage:
    """The page of one job for who asks, and sees the jobs of these scopes; None: all jobs."""
    job = live.as_it_lives(job, job.pk) or job
    now, site = clock.now(), admin_site.name
    shown = job.shown_state(now)
    list_address = reverse(f"{site}:jobs_job_changelist")
    seen = of_scopes(lookup.all_jobs(), scopes)
    children = list(seen.filter(parent_id=job.pk).only("task").order_by("-pk")[: CHILDREN + 1])
    mask, waits = lookup.mask_of(job), waits_of(job)
    links = _links(seen, site, [*(id for id, _state in waits.after), *waits.before])
    starts = starts_of(job, inside.logs_of(job.pk)[0], mask)
    pieces = pieces_of(job, starts.rows, now, waited_for_jobs=bool(waits.after), cut=starts.cut)
    progress = inside.progress_of(job.pk)
    return JobPage(
        job=job,
        state=shown,
        verdict=mask(verdict.job_verdict(job, now, hindrances=False)),
        why=mask(why_line(job)),
        arguments=[
            Argument(visible(one.name), pretty(one.value) if not one.masked else one.value, one.masked)
            for one in lookup.arguments(job)
        ],
        result=None if job.result is None else pretty(lookup.shown_result(job)),
        key=visible(lookup.shown_key(job) or ""),
        error=mask(job.shown_error()) if job.state in (State.FAILED, State.QUEUED) else "",
        waited=verdict.duration(verdict.seconds_between(job.ready_at, job.started_at or job.claimed_at)),
        ran=verdict.duration(verdict.seconds_between(job.started_at, job.ended_at)),
        attempts_allowed=verdict.attempts_allowed(job),
        event_jobs=f"{list_address}?event_id={job.event_id}" if job.event_id else "",
        about=_about(job, admin_site, request),
        parent=_job_link(seen.filter(pk=job.parent_id).only("task").first(), site) if job.parent_id else None,
        children=[link for child in children[:CHILDREN] if (link := _job_link(child, site))],
        more_children=f"{list_address}?parent_id={job.pk}" if len(children) > CHILDREN else "",
        after=[(links[id], state or "") for id, state in waits.after],
        before=[links[id] for id in waits.before],
        starts=starts,
        timeline=drawing(pieces),
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


def _job_link(job: Job | None, site: str) -> Link | None:
    if job is None:
        return None
    return Link(f"{job.task} …{str(job.pk)[-8:]}", reverse(f"{site}:jobs_job_change", args=[job.pk]))


def _links(seen: QuerySet[Job], site: str, ids: Sequence[UUID]) -> Mapping[UUID, Link]:
    """Each job by its task, with a link, for who may see it; else its id alone."""
    found = {one.pk: _job_link(one, site) for one in seen.filter(pk__in=ids).only("task")}
    return {id: found.get(id) or Link(str(id)) for id in ids}


def _about(job: Job, admin_site: AdminSite, request: HttpRequest) -> Link | None:
    """The object that the job is about; by its name, with a link, for who may look at this very object."""
    if not job.about_type:
        return None
    bare = Link(f"{job.about_type}:{job.about_id}")
    try:
        model = apps.get_model(job.about_type)
        shown: Any = admin_site._registry.get(model)
        found = None if shown is None else shown.get_object(request, str(job.about_id))
    except (LookupError, ValueError):
        return bare
    if found is None or not shown.has_view_permission(request, found):
        return bare
    options = model._meta
    address = reverse(f"{admin_site.name}:{options.app_label}_{options.model_name}_change", args=[quote(job.about_id)])
    return Link(f"{options.verbose_name}: {found}", address)


def _log(job: Job) -> Sequence[LogEntry]:
    kind = ContentType.objects.get_for_model(Job)
    lines = LogEntry.objects.filter(content_type=kind, object_id=str(job.pk))
    return list(lines.select_related("user").order_by("-action_time")[:SHOWN])
