"""Changing a job that waits: when it is due, its priority, its arguments."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from ...states import ENDED, State
from ..changes import Change, ChangeAnswer
from .connection import Trip
from .edges import own_trip
from .values import text_of

#: A job that is due within so many seconds is told of; workers look once a second by themselves.
HINT_WITHIN = timedelta(seconds=1.5)


def change_blocked(connection: BaseDatabaseWrapper, queue: str, job_id: UUID, change: Change) -> ChangeAnswer | None:
    """Change a job that no broker knows yet, on Django's connection; None: it is not blocked any more."""
    with own_trip(connection) as trip:
        trip.lock_job(job_id)
        found = trip.run("read_job", id=job_id.hex, now=trip.text_now)
        return change_job(trip, queue, job_id, change) if found and found[0][1] == State.BLOCKED else None


def change_job(trip: Trip, queue: str, job_id: UUID, change: Change) -> ChangeAnswer | None:
    """Change a job, if it is blocked, queued or pending; None: there is none of this queue."""
    trip.lock_job(job_id)
    now = trip.now
    ready_at, timed_at = change.ready_at(now), change.timed_at(now)
    changed = trip.run(
        "change_job",
        queue=queue,
        id=job_id.hex,
        ready_at=None if ready_at is None else text_of(ready_at),
        timed_at=None if timed_at is None else text_of(timed_at),
        priority=change.priority,
        message=change.message,
        was=change.was,
        soon=text_of(now + HINT_WITHIN),
    )
    if changed:
        if changed[0][0]:
            trip.told.add(queue)
        return ChangeAnswer.CHANGED
    found = trip.run("read_job", id=job_id.hex, now=trip.text_now)
    if not found or found[0][3] != queue:
        return None
    state = found[0][1]
    if state == State.ACTIVE:
        return ChangeAnswer.ACTIVE
    return ChangeAnswer.ENDED if state in ENDED else ChangeAnswer.OTHER
