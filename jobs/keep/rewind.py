"""Duty: set right what a clock that was ahead has left: what waits, and what ended, at moments that are yet to come."""

from __future__ import annotations

from ..broker import get_broker
from ..history.jumps import end_now, note_jump

#: Seconds between two runs, and after one that found jobs.
INTERVAL, SOON = 10.0, 1.0


def run() -> int:
    """Set it right, some thousand jobs a run; returns how many live jobs it moved."""
    broker = get_broker()
    rewound = broker.rewind()
    now = broker.now()
    ahead = max(rewound.ahead, end_now(now))
    if ahead:
        note_jump(now, ahead, rewound.jobs)
    return rewound.jobs
