"""Jobs that belong together, below each other on one scale of time: what each waited for, and when it ran."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from ..history.event_trail import in_tree_order
from ..history.timeline import Piece, pieces_of
from ..history.verdict import duration
from ..models import Attempt, Edge, Job
from ..visible import visible
from .page_links import Link, job_link
from .timeline import LEAST, NOTHING, Bar, bar_of, scale_of

#: Starts of all the jobs together that are drawn.
STARTS = 2_000
#: What counts as the queue's delay.
_WAITS = frozenset({"waiting", "again", "before"})
#: Deeper than this nothing is moved to the right any more.
DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Row:
    """A job: how deep it lies below what enqueued it, how long it waited once it was due, and its bars."""

    job: Job
    link: Link
    event: Link | None
    depth: int
    state: str
    waited: str
    ran: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Waterfall:
    """`cuts`: where the scale is cut, since nothing happened for long."""

    rows: Sequence[Row]
    cuts: Sequence[str]
    since: datetime
    until: datetime
    total: str


def waterfall(jobs: Sequence[Job], site: str, now: datetime, event_id: UUID | None = None) -> Waterfall | None:
    """The jobs as a tree, each with its life, and its event if that is another one; None: there are none."""
    if not jobs:
        return None
    lives = {job.pk: _lives(job, starts, blocked, now) for job, starts, blocked in _with_starts(jobs)}
    pieces = [piece for life in lives.values() for piece in life]
    scale = scale_of(moment for piece in pieces for moment in (piece.since, piece.until))
    rows = [
        Row(
            job=job,
            link=job_link(job, site),
            event=_event(job, site) if job.event_id not in (None, event_id) else None,
            depth=min(depth, DEEPEST),
            state=job.shown_state(now),
            waited=_time(one for one in lives[job.pk] if one.kind in _WAITS),
            ran=_time(one for one in lives[job.pk] if one.start is not None or one.kind == "running"),
            bars=[
                bar_of(one, scale.at(one.since), max(LEAST / 2, scale.at(one.until) - scale.at(one.since)))
                for one in lives[job.pk]
            ],
        )
        for depth, job in in_tree_order(jobs)
    ]
    since = min((piece.since for piece in pieces), default=jobs[0].created_at)
    until = max((piece.until for piece in pieces), default=now)
    total = duration(max(0.0, (until - since).total_seconds()))
    return Waterfall(rows, [f"{x:.1f}" for x in scale.cuts], since, until, total)


def _event(job: Job, site: str) -> Link:
    return Link(visible(job.event), reverse(f"{site}:jobs_job_event", args=[job.event_id]))


def _time(pieces: Iterable[Piece]) -> str:
    found = list(pieces)
    return duration(sum(one.seconds for one in found) if found else None)


def _lives(job: Job, starts: Sequence[Attempt], blocked: bool, now: datetime) -> list[Piece]:
    found = pieces_of(job, starts, now, waited_for_jobs=blocked, cut=False)
    return [one for one in found if one.start is not None or one.open or one.seconds >= NOTHING]


def _with_starts(jobs: Sequence[Job]) -> list[tuple[Job, list[Attempt], bool]]:
    alias, ids = jobs[0]._state.db, [job.pk for job in jobs]
    starts: dict[object, list[Attempt]] = {}
    rows = Attempt.objects.using(alias).filter(job_id__in=ids).order_by("pk").defer("error", "traceback")
    for row in rows[:STARTS]:
        starts.setdefault(row.job_id, []).append(row)
    waiting = set(Edge.objects.using(alias).filter(waiting_id__in=ids).values_list("waiting_id", flat=True)[:STARTS])
    return [(job, starts.get(job.pk, []), job.pk in waiting) for job in jobs]
