"""What a call of a bulk task takes: the first due jobs of its lane, once there are enough or the first waited so long.

In one claim, under the queue's lock. What it has read it keeps, for the further calls of the same lane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from ...policy import MOST_AT_ONCE, MOST_BYTES, Bulk
from .connection import Trip
from .values import id_of, moment_of


class Waiting(NamedTuple):
    """A due job: where it stands in its group, and in which lane."""

    ready_at: datetime
    id: UUID
    lane: str


def waiting(row: Sequence[Any]) -> Waiting:
    """The due job of a row."""
    id, lane, ready_at = row[:3]
    return Waiting(moment_of(ready_at), id_of(id), lane)


@dataclass(slots=True)
class _Line:
    """What is read of a lane at a priority; `is_cut`: there may be more."""

    rows: deque[tuple[Waiting, int]] = field(default_factory=deque)
    is_cut: bool = True


class Bulks:
    """The lanes of bulk tasks in one claim; `read` reads by a statement's name."""

    def __init__(self, trip: Trip, read: Callable[..., list[Any]]) -> None:
        self._trip = trip
        self._read = read
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
            number = min(MOST_AT_ONCE, rule.most * calls) + len(seen)
            found = self._read("read_bulk", priority=priority, lane=lane, most=number)
            line.is_cut = len(found) == number
            rows = [(waiting(row), row[3]) for row in found]
            line.rows = deque((row, size) for row, size in rows if row.id not in seen)
        if line.rows and len(line.rows) < rule.least:
            ripe_at = line.rows[0][0].ready_at + timedelta(seconds=rule.wait)
            if ripe_at > self._trip.now:
                self.blocked_until = min(ripe_at, self.blocked_until or ripe_at)
                return []
        taken: list[Waiting] = []
        while line.rows and len(taken) < most and not self.is_full:
            row, size = line.rows.popleft()
            taken.append(row)
            self._bytes += size
        return taken
