"""How many threads a pool has and may have, and how many jobs of a limited queue they claim together.

All of it happens under the pool's lock.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..broker.records import Settlement

#: Of a queue with a rate limit so many short jobs are claimed together, and one that is not short by itself: what has
#: no thread to start it within the guard of its grant would have to be handed back (G7).
AT_ONCE, AT_ONCE_SHORT = 5, 0.001
#: More than any process has threads.
MOST = 1_000_000


class Places:
    """The threads that are here, those that `coming` were started, and how many of them may work."""

    def __init__(self, coming: int) -> None:
        self.here = 0
        self._coming = coming
        self._allowed = MOST

    @property
    def working(self) -> int:
        """How many threads may have a job."""
        return min(self.here, self._allowed)

    @property
    def has_surplus(self) -> bool:
        """Whether there are more threads than may work."""
        return self.here > self._allowed

    def keep_to(self, number: int) -> int:
        """Let so many work from now on; returns how many are to be started for that."""
        self._allowed = number
        missing = max(0, number - self.here - self._coming)
        self._coming += missing
        return missing

    def arrive(self) -> None:
        """A thread begins its work."""
        self.here += 1
        self._coming = max(0, self._coming - 1)

    def leave(self) -> None:
        """A thread ends it."""
        self.here -= 1


class AtOnce:
    """How many jobs one exchange claims. `paced`: the queue has a rate limit."""

    def __init__(self, paced: bool) -> None:
        self.paced = paced
        self._short = False  # the jobs of a limited queue, of late

    def limit(self, wanted: int, settlements: Sequence[Settlement]) -> int:
        """What is to be claimed where so much is wanted, and these have ended."""
        if not self.paced:
            return wanted
        if settlements:
            self._short = all(seconds_of(settlement) < AT_ONCE_SHORT for settlement in settlements)
        return min(wanted, AT_ONCE if self._short else 1)


def seconds_of(settlement: Settlement) -> float:
    """How long the task's function ran; 0 where it was not called."""
    if settlement.started_at is None or settlement.ended_at is None:
        return 0.0
    return (settlement.ended_at - settlement.started_at).total_seconds()
