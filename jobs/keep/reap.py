"""Duty: give back what silent processes hold (G2), and end what came too late."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..defined import queues
from ..faults import point
from ..history.lookup import queues_with_jobs

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs (what an ended lease costs on top of itself), and after one that found something: a run ends
#: a thousand expired jobs at most.
INTERVAL, SOON = 1.0, 0.1
#: Seconds since the last good run after which the silent may be without blame: nobody could renew, just as nobody
#: could reap, because one transaction held SQLite's write lock or the machine slept.
PAUSE = 5.0

#: When the last good run was, by this process's own clock and by the broker's.
_reaped_at: tuple[float, datetime] | None = None
_patient_until = 0.0
#: How far the broker's clock has jumped ahead, in seconds: so much too early every lease seems to end.
_jumped = 0.0


def run() -> int:
    """Reap once; returns how many jobs moved."""
    global _reaped_at, _patient_until, _jumped
    now, broker_now, lease = clock.monotonic(), get_broker().now(), jobs_settings().lease
    if _reaped_at is not None:
        passed = now - _reaped_at[0]
        jumped = (broker_now - _reaped_at[1]).total_seconds() - passed
        # a smaller jump ends no lease: each is renewed when a third of it has passed
        if passed > PAUSE or jumped > lease / 2:
            _patient_until, _jumped = now + lease, max(jumped, 0.0)
            logger.warning("reaper_paused seconds=%.1f jumped=%.1f: leases get one more term", passed, jumped)
    reaped = get_broker().reap(_all_queues(), grace=lease + _jumped if now < _patient_until else 0.0)
    ended = clock.monotonic()
    _reaped_at = ended, broker_now + timedelta(seconds=ended - now)
    if reaped.lost:
        point("reap.after_commit")
        logger.warning("reaped lost=%d failed=%d", reaped.lost, reaped.failed)
    return reaped.lost + reaped.expired


def _all_queues() -> list[str]:
    """Every queue that may hold a job, also those that no code defines any more."""
    return sorted({*queues(), *queues_with_jobs()})
