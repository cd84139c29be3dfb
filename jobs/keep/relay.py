"""Duty: take accepted jobs to the broker whose own process died before it could (G1)."""

from __future__ import annotations

import logging

from ..enqueue.outbox import push_pending
from ..faults import point

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs.
INTERVAL = 1.0


def run() -> int:
    """Relay once; returns how many jobs the broker took."""
    taken = push_pending()
    if taken:
        point("relay.after")
        logger.info("relayed jobs=%d", taken)
    return taken
