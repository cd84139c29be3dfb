"""The processes that work: as rows of their table, also where a broker outside the database knows them."""

from __future__ import annotations

from ..broker import get_broker
from ..broker.records import SeenProcess
from ..conf import jobs_settings
from ..models import Process

#: Processes that are looked at.
MOST = 1_000


def row_of(seen: SeenProcess) -> Process:
    """What the table of processes says of one; not written."""
    record = seen.record
    return Process(
        id=record.id,
        kind=record.kind,
        queue=record.queue,
        host=record.host[:100],
        pid=record.pid,
        concurrency=record.concurrency,
        started_at=seen.started_at,
        renewed_at=seen.renewed_at,
        lease_until=seen.lease_until,
        clock_offset=seen.clock_offset,
        trouble=seen.trouble,
        trouble_since=seen.trouble_since,
        news_dropped=seen.dropped,
        news_dropped_at=seen.dropped_at,
        paused=seen.paused,
    )


def seen_processes() -> list[Process]:
    """Workers and keepers as the broker says of them now, also those whose lease has ended and that nobody has reaped.

    By kind, queue, host and number. Raises `BrokerAway`.
    """
    seen = get_broker().processes()
    rows = map(row_of, seen) if seen is not None else Process.objects.using(jobs_settings().database).all()[:MOST]
    return sorted(rows, key=lambda row: (row.kind != "keeper", row.queue, row.host, row.pid, row.pk))
