"""Duty: work off what people do to many jobs at once, piece by piece."""

from __future__ import annotations

from .. import clock
from ..operate.operations import forget_operations, work

#: Seconds between two runs, and after one that did something: more may be left.
INTERVAL, SOON = 1.0, 0.05
#: Seconds after which a run begins no further piece: the keeper's other duties wait for it.
LONGEST = 0.5


def run() -> int:
    """Do what is due; returns how many jobs had their turn."""
    end = clock.monotonic() + LONGEST
    worked = work(lambda: clock.monotonic() < end)
    return worked or forget_operations()
