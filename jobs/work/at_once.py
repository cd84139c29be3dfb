"""How many jobs of a limited queue are claimed together."""

from __future__ import annotations

from collections.abc import Sequence

from ..broker.records import Settlement
from .announce import seconds_run

#: Of a queue with a rate limit so many short jobs are claimed together, and one that is not short by itself: what has
#: no thread to start it within the guard of its grant would have to be handed back (G7).
AT_ONCE, AT_ONCE_SHORT = 5, 0.001


class AtOnce:
    """What one exchange claims at most; under the pool's lock. `paced`: the queue has a rate limit."""

    def __init__(self, paced: bool) -> None:
        self.paced = paced
        self._short = False  # its jobs, of late

    def limit(self, wanted: int, settlements: Sequence[Settlement]) -> int:
        """What is to be claimed where so much is wanted, and these have ended."""
        if not self.paced:
            return wanted
        if settlements:
            self._short = all(seconds_run(settlement) < AT_ONCE_SHORT for settlement in settlements)
        return min(wanted, AT_ONCE if self._short else 1)
