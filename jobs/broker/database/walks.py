"""What a long walk over the lanes of a queue has found, so that the next claims need not walk again.

Thousands of groups may have jobs that are yet to come, and stand between those that have due ones: a walk passes them
all. After a whole round the process knows which lanes have due jobs; what becomes due later is found by its time. So
for a while, so many times the length of the walk, claims look at these lanes and no others. What turns up at an old
place meanwhile, as a job does that a process hands back, waits for the next walk: a second at most.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ... import clock

#: A walk is remembered that passed so many lanes, and found due jobs in so few.
LONG, FEW_DUE = 500, 1_000
#: For so many times its own length, and so many seconds at most.
TIMES, LONGEST = 20.0, 1.0
#: What others commit a little later than it became due is found, too.
SLACK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Walk:
    """The lanes with due jobs at a moment of the database's clock; to be relied on `until` then of this process's.

    And only as long as the same tags are paused: jobs that were put aside stand in other lanes since.
    """

    at: datetime
    lanes: frozenset[str]
    paused_tags: str
    until: float = 0.0

    @property
    def since(self) -> datetime:
        """From when on what has become due is not among them."""
        return self.at - SLACK


#: By queue and priority.
Walks = MutableMapping[tuple[str, int], Walk]


def recall(walks: Walks, queue: str, priority: int, paused_tags: str) -> Walk | None:
    """What may still be relied on."""
    walk = walks.get((queue, priority))
    if walk is not None and (walk.until <= clock.monotonic() or walk.paused_tags != paused_tags):
        del walks[queue, priority]
        return None
    return walk


def remember(walks: Walks, queue: str, priority: int, walk: Walk, *, began: float, passed: int) -> None:
    """Note what a whole round found, if it was long for that."""
    if passed > LONG and len(walk.lanes) <= FEW_DUE:
        now = clock.monotonic()
        walks[queue, priority] = replace(walk, until=now + min(LONGEST, TIMES * (now - began)))
