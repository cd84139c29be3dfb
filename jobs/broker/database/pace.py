"""The rolling rate limit (G7): which grants still count, when the next slot is free, and how soon a grant must start.

A grant is stamped before its transaction commits, and its jobs start after that: within its guard, or not at all. So
the next slot is free one period after the guard. A guard is as long as commits take here, and never below PACE_GUARD.

A grant is a row, found by the moment until which its jobs must have started, and the queue's row holds how many slots
the rows take together. A claim removes as many rows that are over as it needs slots, and adds one: it costs the same
whatever the limit. What is stored knows no `per` and no limit, so that others hold from the next claim on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from ... import clock
from ...policy import RateLimit
from ..contract import PACE_GUARD
from ..guard import Guard
from ..records import ClaimedJob, Settled, Settlement
from .connection import Trip
from .values import moment_of, text_of

#: As many grants that are over one claim removes at most: after a limit was lowered there can be many.
MOST_ENDED = 1_000


@dataclass(frozen=True, slots=True)
class Window:
    """How many slots are taken at a moment, and when the oldest grant is over; None: there is none.

    `changed`: grants were removed or stand at another moment, so that `taken` has to be saved.
    """

    limit: RateLimit
    taken: int
    next_end: datetime | None
    changed: bool = False

    @property
    def free(self) -> int:
        """How many jobs the limit still grants."""
        return max(0, self.limit.limit - self.taken)

    def wait(self, now: datetime) -> float:
        """The seconds until the oldest grant is over; a whole period if there is none but the one to come."""
        if self.next_end is None:
            return PACE_GUARD + self.limit.per
        return max(0.0, (self.next_end - now).total_seconds())


@dataclass(frozen=True, slots=True)
class Stamp:
    """A grant that is written down: its row, and what `clock.monotonic()` showed at that moment or a little before."""

    grant: int
    monotonic: float


def look_at_window(trip: Trip, queue: str, limit: RateLimit, taken: int | None) -> tuple[bool, float | None]:
    """Whether a claim could find a free slot, and else for how many seconds not; only reads."""
    if taken is None or taken < limit.limit:
        return True, None
    start_by, granted_at = _ends_of_grants(trip, queue)
    if start_by is None or (granted_at is not None and is_to_come(granted_at, trip.now)):
        return True, None
    window = Window(limit, taken, start_by + timedelta(seconds=limit.per))
    wait = window.wait(trip.now)
    return wait <= 0, wait


def open_window(trip: Trip, queue: str, limit: RateLimit, taken: int | None, wanted: int) -> Window:
    """The window with the grants removed that are over, as many as a claim of `wanted` needs; under the queue's lock.

    `taken` is None for a queue that had no limit so far.
    """
    changed = taken is None
    if taken is None:
        trip.run("forget_grants", queue=queue)
        taken = 0
    start_by, granted_at = _ends_of_grants(trip, queue)
    if granted_at is not None and is_to_come(granted_at, trip.now):
        restart_grants(trip, queue)
        start_by = _ends_of_grants(trip, queue)[0]
    before = trip.now - timedelta(seconds=limit.per)
    if start_by is not None and start_by <= before:
        most = min(MOST_ENDED, max(0, taken - limit.limit) + 2 * wanted)
        ended = trip.run("end_grants", queue=queue, before=text_of(before), most=most)
        taken, changed = max(0, taken - sum(number for (number,) in ended)), True
        start_by = _ends_of_grants(trip, queue)[0]
    if start_by is None and taken:
        taken, changed = 0, True
    next_end = None if start_by is None else start_by + timedelta(seconds=limit.per)
    return Window(limit, taken, next_end, changed)


def save_window(trip: Trip, queue: str, window: Window, jobs: int, guard: Guard) -> Stamp | None:
    """Write down which slots are taken, at the latest moment before the commit: starts can only come after it."""
    if not jobs:
        if window.changed:
            trip.run("save_taken", queue=queue, taken=window.taken)
        return None
    trip.run("save_taken", queue=queue, taken=window.taken + jobs)
    monotonic, now = clock.monotonic(), clock.now()
    ((grant,),) = trip.run(
        "insert_grant",
        queue=queue,
        subject="",
        number=jobs,
        guard=guard.seconds,
        granted_at=text_of(now),
        start_by=text_of(now + timedelta(seconds=guard.seconds)),
    )
    return Stamp(grant, monotonic)


def committed(jobs: Sequence[ClaimedJob], stamp: Stamp, guard: Guard) -> tuple[ClaimedJob, ...]:
    """The jobs of a grant whose transaction has just committed, told until when they must start."""
    start_by = stamp.monotonic + guard.seconds
    guard.learn(clock.monotonic() - stamp.monotonic)
    return tuple(replace(job, start_by=start_by, grant=stamp.grant) for job in jobs)


def unstarted(settlements: Sequence[Settlement]) -> list[Settlement]:
    """Those of jobs with a grant whose function was never called."""
    return [
        one for one in settlements if (one.job.grant is not None or one.job.other_grants) and one.started_at is None
    ]


def return_grants(trip: Trip, queue: str, settlements: Sequence[Settlement], answers: Sequence[Settled]) -> None:
    """Free the slots of those settlements that counted; under the queue's lock."""
    if not unstarted(settlements):
        return
    counted = [one for one, answer in zip(settlements, answers, strict=True) if answer.counted]
    others = Counter(grant for one in unstarted(counted) for grant in one.job.other_grants)
    for grant, number in sorted(others.items()):
        left = trip.run("return_other_slots", grant=grant, number=number)
        if left and left[0][0] <= 0:
            trip.run("delete_grant", grant=grant)
    grants = Counter(one.job.grant for one in unstarted(counted) if one.job.grant is not None)
    returned = 0
    for grant, number in sorted(grants.items()):
        left = trip.run("return_slots", grant=grant, queue=queue, number=number)
        if left:
            returned += number
            if left[0][0] <= 0:
                trip.run("delete_grant", grant=grant)
    if returned:
        trip.run("lower_taken", queue=queue, number=returned)


def _ends_of_grants(trip: Trip, queue: str) -> tuple[datetime | None, datetime | None]:
    """Until when the oldest grant's jobs must have started, and when the newest was made; None without any."""
    found = trip.run("read_ends_of_grants", queue=queue)[0]
    start_by, granted_at = (None if moment is None else moment_of(moment) for moment in found)
    return start_by, granted_at


def restart_grants(trip: Trip, queue: str) -> None:
    """After the clock was set back: let a grant from the future count as made now, else it would block for as long."""
    to_come = trip.run("read_grants_to_come", queue=queue, now=trip.text_now)
    now = text_of(trip.now)
    trip.run_each(
        "move_grant",
        (
            {"grant": grant, "granted_at": now, "start_by": text_of(trip.now + (moment_of(start_by) - moment_of(made)))}
            for grant, made, start_by in to_come
        ),
    )


def as_restarted(grants: Sequence[Any], now: datetime) -> list[tuple[str, int, datetime, datetime]]:
    """Grants as `read_group_grants` finds them, as they would be after `restart_grants`; only for a look."""
    found = []
    for subject, number, start_by, granted_at in grants:
        ends, made = moment_of(start_by), moment_of(granted_at)
        found.append(
            (subject, number, now + (ends - made), now) if is_to_come(made, now) else (subject, number, ends, made)
        )
    return sorted(found, key=lambda grant: grant[2])


def is_to_come(granted_at: datetime, now: datetime) -> bool:
    """Whether a grant was made at a moment that is yet to come: the clock was set back."""
    return granted_at > now + timedelta(seconds=PACE_GUARD)
