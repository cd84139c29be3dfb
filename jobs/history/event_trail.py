"""Business events as their jobs tell of them: the newest, and the jobs of one with all that followed from them.

An event has no row of its own: its jobs carry its name and id, those that they enqueue do so as well, and an index
leads from the id to all of them. So an event is known as long as one of its jobs is, and one that started no job never
is; what that would cost each announcement is not worth it. Lists walk over the newest jobs in windows of bounded size.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from ..define.events import event_map
from ..models import Job
from . import lookup

#: Events on a page, and jobs that are read for it, in steps: mostly the first will do.
PAGE, STEPS = 50, (500, 2_000, 7_500)
#: Jobs that are looked through for those of a request.
WINDOW = 5_000
#: Jobs whose states are counted for a page of events.
COUNTED = 2_000
#: Jobs of one event that are shown, with what they enqueued; and how deep they may lie below each other.
MOST_JOBS, DEEPEST = 200, 8
#: Jobs of a request are looked for so far before and after one of them.
AROUND = timedelta(minutes=10)


@dataclass(slots=True)
class SeenEvent:
    """An event as its jobs tell of it: when the first was enqueued, which objects they are about, and their states."""

    id: UUID
    name: str
    at: datetime
    about: list[tuple[str, str]] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)
    more: bool = False


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, the latest first. `older` is the job behind which the next page goes on; None: there is none."""

    events: Sequence[SeenEvent]
    older: UUID | None


def event_names() -> list[str]:
    """The events that the code knows."""
    return sorted({row.event.__name__ for row in event_map()})


def newest_events(streams: Sequence[QuerySet[Job]], *, name: str = "", before: UUID | None = None) -> EventPage:
    """The events with the latest jobs among those of the streams, whose jobs are older than the one with this id."""
    found: dict[UUID, SeenEvent] = {}
    last: UUID | None = None
    for row in _walk(streams, before, name):
        pk, event_id, event, created_at, about = row
        if event_id is not None:
            if event_id not in found and len(found) == PAGE:
                return _page(streams, found, before, last)
            seen = found.setdefault(event_id, SeenEvent(event_id, event, created_at))
            seen.at = min(seen.at, created_at)
            if about[0] and about not in seen.about:
                seen.about.append(about)
        last = pk
    walked_all = last is None or not any(stream.filter(pk__lt=last).exists() for stream in streams)
    return _page(streams, found, before, None if walked_all else last)


def jobs_of(rows: QuerySet[Job], event_id: UUID) -> tuple[list[Job], bool]:
    """The first jobs of the event in the order in which they were enqueued; and whether there are more."""
    found = list(rows.filter(event_id=event_id).order_by("pk")[: MOST_JOBS + 1])
    return found[:MOST_JOBS], len(found) > MOST_JOBS


def with_what_followed(rows: QuerySet[Job], jobs: Sequence[Job]) -> list[Job]:
    """These jobs with those that they enqueued, also by further events, and so on; all together no more than 200."""
    found = {job.pk: job for job in jobs}
    level = list(found)
    for _depth in range(DEEPEST):
        room = MOST_JOBS - len(found)
        if not level or room <= 0:
            break
        later = [job for job in rows.filter(parent_id__in=level).order_by("pk")[:MOST_JOBS] if job.pk not in found]
        found.update((job.pk, job) for job in later[:room])
        level = [job.pk for job in later[:room]]
    return list(found.values())


def cause_of(rows: QuerySet[Job], jobs: Sequence[Job]) -> Job | None:
    """The job that enqueued the first of these, or announced their event, if it is none of them."""
    ids = {job.pk for job in jobs}
    parents = [job.parent_id for job in jobs if job.parent_id is not None and job.parent_id not in ids]
    return rows.filter(pk=parents[0]).first() if parents else None


def jobs_of_request(rows: QuerySet[Job], job: Job, request_id: str) -> tuple[list[Job], bool]:
    """The jobs of the request, among those that were enqueued within ten minutes of this one; and whether that is all.

    No index has the id: of the jobs in that time so many are looked through as one look may read.
    """
    low, high = (lookup.first_id_at(job.created_at + way * AROUND) for way in (-1, 1))
    near = rows.filter(pk__gte=low, pk__lt=high).order_by("pk")
    window, params = near.values_list("id", "message")[:WINDOW].query.get_compiler(rows.db).as_sql()
    part = connections[rows.db].ops.prep_for_like_query(f'"from":["{request_id}",')
    sql = rf"SELECT id FROM ({window}) AS near WHERE message LIKE %s ESCAPE '\'"
    found = rows.filter(pk__in=RawSQL(sql, [*params, f"%{part}%"])).order_by("pk")[: MOST_JOBS + 1]
    jobs = list(found)
    whole = len(jobs) <= MOST_JOBS and not near.values_list("pk")[WINDOW : WINDOW + 1].exists()
    return jobs[:MOST_JOBS], whole


def in_tree_order(jobs: Sequence[Job]) -> Iterator[tuple[int, Job]]:
    """Each job behind the one that enqueued it, with how deep it lies."""
    ids = {job.pk for job in jobs}
    below: dict[UUID | None, list[Job]] = {}
    for job in jobs:
        below.setdefault(job.parent_id if job.parent_id in ids else None, []).append(job)
    told: set[UUID] = set()
    stack = [(0, job) for job in reversed(below.get(None, []))]
    while stack:
        depth, job = stack.pop()
        if job.pk not in told:
            told.add(job.pk)
            yield depth, job
            stack += [(depth + 1, child) for child in reversed(below.get(job.pk, []))]
    # rows that name each other as their parents are no tree, and shown all the same
    yield from ((0, job) for job in jobs if job.pk not in told)


def _walk(
    streams: Sequence[QuerySet[Job]], before: UUID | None, name: str
) -> Iterator[tuple[UUID, UUID | None, str, Any, tuple[str, str]]]:
    """The newest jobs of events, of this name if one is given, in windows of bounded size; and a line at each end."""
    columns = ("pk", "event_id", "event", "created_at", "about_type", "about_id")
    for step in STEPS:
        parts: list[Sequence[Any]] = []
        windows = [stream if before is None else stream.filter(pk__lt=before) for stream in streams]
        ends = [rows.order_by("-pk").values_list("pk", flat=True)[step - 1 : step].first() for rows in windows]
        end = max((pk for pk in ends if pk is not None), default=None)
        for rows in windows:
            # of ten thousand jobs that are none of these, the database tells nothing
            asked = rows.filter(event_id__isnull=False, **({"event": name} if name else {}))
            within = asked if end is None else asked.filter(pk__gte=end)
            parts.append(list(within.order_by("-pk").values_list(*columns)))
        for pk, event_id, event, created_at, *about in heapq.merge(*parts, key=lambda row: row[0], reverse=True):
            yield pk, event_id, event, created_at, (about[0], about[1])
        before = end or UUID(int=0)
        yield before, None, "", None, ("", "")
        if end is None:
            return


def _page(
    streams: Sequence[QuerySet[Job]], found: Mapping[UUID, SeenEvent], before: UUID | None, older: UUID | None
) -> EventPage:
    ids = list(found)
    if before is not None and ids:
        # an event stands where its latest job does: on an earlier page
        for stream in streams:
            for id in stream.filter(event_id__in=ids, pk__gte=before).values_list("event_id", flat=True)[:COUNTED]:
                ids = [one for one in ids if one != id]
    counted = 0
    for stream in streams:
        rows = stream.filter(event_id__in=ids).only("event_id", "state", "ready_at", "attempts").order_by()
        for job in rows[: COUNTED - counted]:
            counted += 1
            states, state = found[job.event_id].states, job.shown_state()  # type: ignore[index]
            states[state] = states.get(state, 0) + 1
    events = [found[id] for id in ids]
    for seen in events:
        seen.more = counted >= COUNTED
    return EventPage(sorted(events, key=lambda seen: seen.at, reverse=True), older)
