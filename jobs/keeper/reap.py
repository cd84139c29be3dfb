"""Duty: give back what silent processes hold (G2), and end what came too late."""

from __future__ import annotations

import logging

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..faults import point

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs: what an ended lease costs on top of itself.
INTERVAL = 1.0
#: Seconds since the last good run after which the silent may be without blame: nobody could renew, just as nobody
#: could reap, because one transaction held SQLite's write lock or the machine slept.
PAUSE = 5.0

_reaped_at: float | None = None
_patient_until = 0.0


def run() -> int:
    """Reap once; returns how many jobs moved."""
    global _reaped_at, _patient_until
    now, lease = clock.monotonic(), jobs_settings().lease
    if _reaped_at is not None and now - _reaped_at > PAUSE:
        _patient_until = now + lease
        logger.warning("reaper_paused seconds=%.1f: leases get one more term", now - _reaped_at)
    reaped = get_broker().reap(grace=lease if now < _patient_until else 0.0)
    _reaped_at = clock.monotonic()
    if reaped.lost:
        point("reap.after_commit")
        logger.warning("reaped lost=%d failed=%d", reaped.lost, reaped.failed)
    return reaped.lost + reaped.expired
