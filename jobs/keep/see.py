"""Duty: note the processes that a broker outside the database knows, for the status and the verdicts."""

from __future__ import annotations

from django.db import transaction

from ..broker import get_broker
from ..conf import jobs_settings
from ..history.processes import row_of
from ..models import Process

#: Seconds between two runs.
INTERVAL = 2.0
_CHANGED = (
    *("renewed_at", "lease_until", "clock_offset", "concurrency"),
    *("trouble", "trouble_since", "news_dropped", "news_dropped_at", "paused"),
)


def run() -> int:
    """Look once; returns how many processes there are."""
    broker = get_broker()
    seen = broker.processes()
    if seen is None:
        return 0
    rows = Process.objects.using(jobs_settings().database)
    with transaction.atomic(using=rows.db):
        rows.bulk_create(map(row_of, seen), update_conflicts=True, unique_fields=["id"], update_fields=_CHANGED)
        # those of another broker, from which the jobs have moved, end with their leases
        gone = rows.exclude(pk__in=[one.record.id for one in seen])
        gone.filter(lease_until__lte=broker.now()).delete()
    return len(seen)
