"""After the clock was set back: what waits for a moment that was counted from a time to come waits from now on.

A clock that was ahead once leaves such moments, and so does, on SQLite, one that is set back. A row tells it by itself:
it was accepted, or its due time was counted, at a moment that is yet to come. From then to now is the least by which
the clock was ahead, and so much earlier the job is due: its delay counts from now, and is never shortened.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..records import Rewound
from .connection import Trip
from .values import moment_of, text_of

#: A smaller error of the clock is soon over by itself.
SLACK = timedelta(seconds=1)
#: As many jobs are moved in one transaction.
MOST_MOVED = 1_000


def rewind_jobs(trip: Trip) -> Rewound:
    """Move the live jobs that come from the future, at most MOST_MOVED."""
    now = trip.now
    found = trip.run("read_jobs_to_come", after=text_of(now + SLACK), most=MOST_MOVED)
    rows = [_moved(row, now) for row in found]
    trip.run_each("move_job", rows)
    trip.told |= {queue for queue, *_ in found}
    ahead = max((_ahead(created_at, timed_at, now) for _, _, created_at, timed_at, *_ in found), default=timedelta(0))
    return Rewound(len(found), ahead.total_seconds(), more=len(found) == MOST_MOVED)


def rewind_waits(trip: Trip) -> float:
    """Let queues and groups wait from now on that were told to wait in the future; returns how far that was."""
    now, ahead = trip.now, timedelta(0)
    for queue, wait_from, wait_until in trip.run("read_waits_to_come", after=text_of(now + SLACK)):
        shift = moment_of(wait_from) - now
        until = moment_of(wait_until) - shift
        trip.run("move_wait", queue=queue, wait_from=text_of(now), wait_until=text_of(until))
        ahead = max(ahead, shift)
    for id, wait_from, wait_until in trip.run("read_group_waits_to_come", after=text_of(now + SLACK)):
        shift = moment_of(wait_from) - now
        until = moment_of(wait_until) - shift
        trip.run("move_group_wait", id=id, wait_from=text_of(now), wait_until=text_of(until))
        ahead = max(ahead, shift)
    return ahead.total_seconds()


def _moved(row: Any, now: datetime) -> dict[str, str | None]:
    _, id, created, timed, ready, expires = row
    created_at, ready_at = moment_of(created), moment_of(ready)
    asked_for = timed is None and ready_at > created_at
    if not asked_for:
        ready_at -= _ahead(created, timed, now)
    expires_at = None if expires is None else moment_of(expires) - max(created_at - now, timedelta(0))
    return {
        "id": id if isinstance(id, str) else id.hex,
        "created_at": text_of(min(created_at, now)),
        "timed_at": None if asked_for else text_of(now),
        "ready_at": text_of(ready_at if asked_for else max(ready_at, now)),
        "expires_at": None if expires_at is None else text_of(expires_at),
        "now": text_of(now),
    }


def _ahead(created: Any, timed: Any, now: datetime) -> timedelta:
    """How far the later of the two moments lies ahead."""
    return max(moment_of(created), moment_of(timed if timed is not None else created)) - now
