"""The rolling rate limit (G7): which grants still count, when the next slot is free, and how soon a grant must start.

A grant is stamped before its transaction commits, and its jobs start after that: within its guard, or not at all. So
the next slot is free one period after the guard. A guard is as long as commits take here, and never below PACE_GUARD.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ... import clock
from ...policy import RateLimit
from ..contract import PACE_GUARD
from ..records import ClaimedJob
from .connection import Trip

#: What a start needs beside the commit: the way from the broker's answer to the task's first line, in seconds.
HAND_OVER = 0.010
#: One slow commit among so many is an accident, two are how it is here.
REMEMBERED = 8


class Grant(NamedTuple):
    """`number` slots taken at `at` (seconds since 1970); their jobs start within `guard` seconds of it."""

    at: float
    number: int
    guard: float = PACE_GUARD

    def ends(self, rate_limit: RateLimit) -> float:
        """When its slots are free again."""
        return self.at + self.guard + rate_limit.per


class Guard:
    """How long a grant of this process may take until its jobs start; learned from its commits."""

    def __init__(self) -> None:
        self._took: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def seconds(self) -> float:
        """The guard for the next grant."""
        if not self._took:
            return PACE_GUARD
        usual = sorted(self._took)[max(0, len(self._took) - 2)]
        return max(PACE_GUARD, 1.5 * usual + HAND_OVER)

    def learn(self, seconds: float) -> None:
        """Note how long it took from the stamp until the commit was known."""
        self._took.append(seconds)


def read_grants(stored: str, rate_limit: RateLimit, now: datetime) -> tuple[list[Grant], bool]:
    """The grants that count at this moment, and whether one of them had to be changed, because the clock was set back.

    A grant from the future counts as made now, else it would block for as long.
    """
    moment = seconds_of(now)
    recent = [grant for entry in json.loads(stored) if (grant := Grant(*entry)).ends(rate_limit) > moment]
    set_back = any(grant.at > moment + PACE_GUARD for grant in recent)
    return [grant._replace(at=min(grant.at, moment)) for grant in recent], set_back


def slots_left(rate_limit: RateLimit, grants: Iterable[Grant]) -> int:
    """How many jobs the limit still grants."""
    return max(0, rate_limit.limit - sum(grant.number for grant in grants))


def wait_for_slot(rate_limit: RateLimit | None, grants: Sequence[Grant], now: datetime) -> float | None:
    """The seconds until the limit grants one more; None: it is not the limit that stops the queue."""
    if rate_limit is None or slots_left(rate_limit, grants):
        return None
    return max(0.0, min(grant.ends(rate_limit) for grant in grants) - seconds_of(now))


def save_grants(trip: Trip, queue: str, grants: Sequence[Grant], jobs: Sequence[ClaimedJob], guard: Guard) -> float:
    """Write down which slots are taken, at the latest moment before the commit: starts can only come after it.

    Returns what `clock.monotonic()` showed at the stamp.
    """
    stamped = clock.monotonic()
    new = [Grant(seconds_of(trip.read_clock()), len(jobs), guard.seconds)] if jobs else []
    trip.run("save_grants", queue=queue, grants=json.dumps([*grants, *new]))
    return stamped


def committed(jobs: Sequence[ClaimedJob], stamped: float, guard: Guard) -> tuple[ClaimedJob, ...]:
    """The jobs of a grant whose transaction has just committed, told until when they must start."""
    start_by = stamped + guard.seconds
    guard.learn(clock.monotonic() - stamped)
    return tuple(replace(job, start_by=start_by) for job in jobs)


def seconds_of(moment: datetime) -> float:
    """Seconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)
