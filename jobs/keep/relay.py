"""Duty: take accepted jobs to the broker whose own process died before it could (G1)."""

from __future__ import annotations

import logging

from ..enqueue.outbox import push_pending
from ..faults import point

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs, and after one that took something: more may be left.
INTERVAL, SOON = 1.0, 0.05
#: Seconds after which a run ends, whatever is left: the keeper's other duties wait for it.
LONGEST = 0.5


def run() -> int:
    """Relay once; returns how many jobs the broker took."""
    taken = push_pending(longest=LONGEST)
    if taken:
        point("relay.after")
        logger.info("relayed jobs=%d", taken)
    return taken
