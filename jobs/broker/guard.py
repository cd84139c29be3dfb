"""How soon a job of a limited queue must start after its grant (G7)."""

from __future__ import annotations

from collections import deque

from .contract import PACE_GUARD

#: What a start needs beside the commit: the way from the broker's answer to the task's first line, in seconds.
HAND_OVER = 0.010
#: One slow exchange among so many is an accident, two are how it is here.
REMEMBERED = 8


class Guard:
    """How long a grant of this process may take until its jobs start; learned from its exchanges."""

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
        """Note how long it took from the grant until this process knew of it."""
        self._took.append(seconds)
