"""Duty: sign that the other duties run, so that `jobs status` knows a keeper that stands still."""

from __future__ import annotations

from uuid import UUID

from ..broker import get_broker
from ..conf import jobs_settings
from ..faults import point
from ..models import Process

#: Seconds between two runs.
INTERVAL = 5.0


def run(worker: UUID) -> int:
    """Sign once; returns 1, or 0 while the keeper is not registered."""
    row = Process.objects.using(jobs_settings().database).filter(pk=worker)
    point("sign.before")
    signed = row.update(duties_at=get_broker().now())
    point("sign.after")
    return signed
