"""Duty: give back what silent processes hold (G2), and end what came too late."""

from __future__ import annotations

import logging
from datetime import datetime

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

#: When the last good run began, by this process's own clock and by the broker's.
_looked_at: tuple[float, datetime] | None = None
#: Until then, by this process's own clock, nobody is blamed.
_patient_until = 0.0


def run() -> int:
    """Reap once; returns how many jobs moved."""
    global _looked_at
    now, broker_now = clock.monotonic(), get_broker().now()
    _be_patient(now, broker_now)
    # whoever falls silent while this run itself is held up is not blamed by it
    reaped = get_broker().reap(_all_queues(), before=broker_now, blame=now >= _patient_until)
    _looked_at = now, broker_now
    if reaped.lost:
        point("reap.after_commit")
        logger.warning("reaped lost=%d failed=%d", reaped.lost, reaped.failed)
    return reaped.lost + reaped.expired


def _be_patient(now: float, broker_now: datetime) -> None:
    """See whether the silent may be without blame, since nobody could renew: then they get one more term.

    So it is after a time in which this process did not get through either (the database was away, its disk full, its
    only lock held, everything frozen), and where the broker's clock has jumped ahead: then every lease seems to have
    ended. What a keeper that has just begun did not see, it does not know.
    """
    global _patient_until
    lease = jobs_settings().lease
    if _looked_at is None:
        # who lives renews within a third of a lease
        _patient_until = now + lease / 2
        return
    passed = now - _looked_at[0]
    jumped = (broker_now - _looked_at[1]).total_seconds() - passed
    # a shorter time ends no lease: each is renewed when a third of it has passed
    if passed > max(lease / 3, 2 * INTERVAL) or jumped > lease / 2:
        _patient_until = now + lease
        logger.warning("reaper_paused seconds=%.1f jumped=%.1f: leases get one more term", passed, jumped)


def _all_queues() -> list[str]:
    """Every queue that may hold a job, also those that no code defines any more."""
    return sorted({*queues(), *queues_with_jobs(), *get_broker().queues()})
