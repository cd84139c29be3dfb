"""Duty: give back what silent processes hold (G2), and end what came too late."""

from __future__ import annotations

import logging

from ..broker import get_broker

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs: what an ended lease costs on top of itself.
INTERVAL = 1.0


def run() -> int:
    """Reap once; returns how many jobs moved."""
    reaped = get_broker().reap()
    if reaped.lost:
        logger.warning("reaped lost=%d failed=%d", reaped.lost, reaped.failed)
    return reaped.lost + reaped.expired
