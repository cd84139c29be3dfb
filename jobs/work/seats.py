"""Where the threads of a pool sleep, and which of them keeps watch.

All of it happens under the pool's lock, but for `rouse` and for the sleep itself.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

#: No thread that keeps watch sleeps longer, in seconds, whatever there is to wait for; and none shorter.
LONGEST_WATCH, SHORTEST_WATCH = 5.0, 0.001


class Seat:
    """Where one thread sleeps. `to_watch`: it was called to keep watch, and not to take what is there."""

    __slots__ = ("lock", "to_watch")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.to_watch = False


class Seats:
    """The threads that have nothing to do. One of them, if there is one, watches: it wakes at its `alarm`."""

    def __init__(self) -> None:
        self._sleepers: list[Seat] = []
        self._watch: Seat | None = None
        self._alarm = 0.0

    def sit_down(self, seat: Seat, alarm: float, now: float) -> float:
        """Sleep, or watch where nobody does; returns for how many seconds, -1 until called."""
        seat.to_watch = False
        if self._watch is not None:
            self._sleepers.append(seat)
            return -1
        self._watch = seat
        self._alarm = min(max(alarm, now + SHORTEST_WATCH), now + LONGEST_WATCH)
        return self._alarm - now

    def get_up(self, seat: Seat) -> bool:
        """The watch's time is over; False: it was called in the same moment, and has to take that call."""
        if self._watch is not seat:
            return False
        self._watch = None
        return True

    def call(self, number: int) -> list[Seat]:
        """So many threads that are to work, the watch only where the others do not suffice."""
        seats = [self._sleepers.pop() for _ in range(min(max(number, 0), len(self._sleepers)))]
        if len(seats) < number and self._watch is not None:
            seats.append(self._watch)
            self._watch = None
        for seat in seats:
            seat.to_watch = False
        return seats

    def call_all(self) -> list[Seat]:
        """Every thread that sleeps."""
        return self.call(len(self._sleepers) + 1)

    def call_watch(self, before: float | None = None) -> list[Seat]:
        """The watch, to look now; with `before` only if it would not wake by then."""
        seat = self._watch
        if seat is None or (before is not None and self._alarm <= before):
            return []
        self._watch = None
        seat.to_watch = True
        return [seat]

    def call_to_watch(self) -> list[Seat]:
        """A thread that is to keep watch, where none does."""
        if self._watch is not None or not self._sleepers:
            return []
        seat = self._sleepers.pop()
        seat.to_watch = True
        return [seat]


def rouse(seats: Sequence[Seat]) -> None:
    """Wake the threads that were called."""
    for seat in seats:
        seat.lock.release()
