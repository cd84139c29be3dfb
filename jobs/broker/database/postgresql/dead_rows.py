"""Where a queue's due jobs begin on PostgreSQL, so that a claim need not walk over dead rows in front of them.

An old snapshot anywhere in the server keeps the index entries of jobs that are settled long since, and a claim walks
over all of them. So a process remembers for each priority before which moment nothing was left to claim, and its next
claims begin there. Nothing is skipped where walking is quick, as it is without an old snapshot.

What it buys (`python -m bench.dead_rows`, PostgreSQL 15 on a machine with two busy cores, medians of one claim, with
the bounds and without, in turn): 5 against 12 ms behind 10,000 settled jobs, 5 against 77 ms behind 100,000, growing
with their number; 2 to 4 ms without a snapshot. A backup of ten minutes beside 200 jobs a second is enough for that.
The seam is two calls: `bounds` before a statement, `note` after it; the SQL is `levels_past_dead_rows`, which is used
only while there are bounds.

A bound would hide a job that turns up before it. One that comes back to its old place does not: that counts up
`returns` in the queue's row, in the same transaction, and with another count than was read the bounds are void. What
else can turn up there is what a claim could not see when it set the bound: a job whose transaction committed more than
SLACK seconds after the job became due, or one whose row somebody held locked. A walk without a bound finds it, which
comes after so many times the length of the last such walks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .... import clock
from ....policy import HIGHEST_PRIORITY, LOWEST_PRIORITY, stored_priority

#: The priorities that people give: looked at, once walking is slow, even if this process has seen no job of them.
GIVEN = tuple(stored_priority(shown) for shown in range(HIGHEST_PRIORITY, LOWEST_PRIORITY + 1))
#: Seconds that a walk may take until dead rows are skipped, and for each job that it brings.
SLOW, A_JOB = 0.002, 0.0001
#: A bound lies so many seconds before the moment that it is known for: others may commit a little later.
SLACK = timedelta(seconds=1)
#: A walk without a bound comes after so many times the length of the last ones, in seconds at most after LONGEST.
FULL_EVERY, LONGEST = 20.0, 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a statement begins for each known priority (None: at the first row); what `returns` was when that held."""

    since: Mapping[int, datetime | None] = field(default_factory=dict)
    returns: int = 0


NO_BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a statement with these bounds saw: before which moment it left nothing due, for each priority it walked.

    `jobs`: how many it claimed, or found due; `seconds`: how long it walked by the server's clock, without what so many
    jobs take anyway. `looked`: a look that comes before a claim.
    """

    bounds: Bounds
    returns: int
    empty_before: Mapping[int, datetime]
    jobs: int
    seconds: float
    looked: bool = False


@dataclass(slots=True)
class Start:
    """Where the due jobs of one priority begin; `until` when that may be relied on, None: it may not."""

    at: datetime | None = None
    until: float | None = None
    walk: float = 0.0

    def is_known(self, now: float) -> bool:
        """Whether it may be relied on at `now`."""
        return self.until is not None and self.until > now


@dataclass(slots=True)
class DeadRows:
    """The starts of one queue as this process knows them: `bounds` before a statement, `note` after it."""

    starts: defaultdict[int, Start] = field(default_factory=lambda: defaultdict(Start))
    returns: int = 0
    # the last claim brought nothing: then the next one keeps to its bounds, overdue or not: a job that comes after a
    # quiet while shall not wait for a long walk; that can be made when there is nothing to do
    _idle: bool = False

    def bounds(self, *, walk: bool = False) -> Bounds:
        """The bounds for the next statement; `walk`: without those that are overdue, as `note` said."""
        earliest = -math.inf if self._idle and not walk else clock.monotonic()
        since = {priority: start.at if start.is_known(earliest) else None for priority, start in self.starts.items()}
        return Bounds(since, self.returns)

    def note(self, seen: Seen | None) -> bool:
        """Note what a statement saw, once it is committed; returns whether there is time for a walk that is due."""
        if seen is None:
            return False
        self._learn(seen)
        if not seen.jobs:
            self._idle = True
        elif not seen.looked:
            self._idle = False
        now = clock.monotonic()
        return not seen.jobs and any(start.until is not None and start.until <= now for start in self.starts.values())

    def _learn(self, seen: Seen) -> None:
        since: Mapping[int, datetime | None] = seen.bounds.since
        if seen.returns != seen.bounds.returns:
            since = {}  # the statement had noticed, too
        if seen.returns != self.returns:
            self.returns = seen.returns
            for start in self.starts.values():
                start.until = None
        if seen.seconds > SLOW:
            for priority in GIVEN:
                self.starts[priority]
        for priority, moment in seen.empty_before.items():
            start = self.starts[priority]
            start.at = moment - SLACK
            if since.get(priority) is None:
                # twice in a row: anything can take long once
                shorter, start.walk = min(start.walk, seen.seconds), seen.seconds
                start.until = clock.monotonic() + min(FULL_EVERY * shorter, LONGEST) if shorter > SLOW else None
