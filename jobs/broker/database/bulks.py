"""What a call of a bulk task takes: the first due jobs of its lane, once there are enough or the first waited so long.

In one claim, under the queue's lock. What it has read it keeps, for the further calls of the same lane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ...policy import MOST_AT_ONCE, MOST_BYTES, Bulk
from .aside import Aside
from .connection import Trip
from .seats import Waiting, waiting


@dataclass(slots=True)
class _Line:
    """What is read of a lane at a priority; `is_cut`: there may be more."""

    rows: deque[tuple[Waiting, int]] = field(default_factory=deque)
    is_cut: bool = True


class Bulks:
    """The lanes of bulk tasks in one claim; `read` reads by a statement's name, `aside` takes out what is paused."""

    def __init__(self, trip: Trip, read: Callable[..., list[Any]], aside: Aside) -> None:
        self._trip = trip
        self._read = read
        self._aside = aside
        self._lines: dict[tuple[int, str], _Line] = {}
        self._bytes = 0
        #: when the first of those that were passed over is to start; None: none was
        self.blocked_until: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Whether what was taken is enough for one reply."""
        return self._bytes >= MOST_BYTES

    def next(
        self, rule: Bulk, priority: int, lane: str, most: int, calls: int, seen: Collection[UUID]
    ) -> list[Waiting]:
        """What one call takes of a lane, at most so many; nothing while it is to wait.

        `calls`: this one and those that may follow; `seen`: not these.
        """
        line = self._lines.setdefault((priority, lane), _Line())
        if line.is_cut and len(line.rows) < rule.most:
            self._fill(line, priority, lane, min(MOST_AT_ONCE, rule.most * calls), seen)
        if line.rows and len(line.rows) < rule.least:
            ripe_at = line.rows[0][0].ready_at + timedelta(seconds=rule.wait)
            if ripe_at > self._trip.now:
                self.blocked_until = min(ripe_at, self.blocked_until or ripe_at)
                return []
        taken: list[Waiting] = []
        while line.rows and len(taken) < most and not self.is_full and not self._aside.is_cut:
            row, size = line.rows.popleft()
            taken.append(row)
            self._bytes += size
        return taken

    def _fill(self, line: _Line, priority: int, lane: str, number: int, seen: Collection[UUID]) -> None:
        """Read the first ones of a lane, behind those that carry paused tags."""
        passed = set(seen)
        while True:
            most = number + len(passed)
            found = self._read("read_bulk", priority=priority, lane=lane, most=most)
            sizes = {one: row[4] for row in found if (one := waiting(row)).id not in passed}
            free, stuck = self._aside.sift(list(sizes))
            line.is_cut, line.rows = len(found) == most, deque((row, sizes[row]) for row in free)
            passed |= stuck
            if lane not in self._aside.moved_from():
                return
