"""A process as a broker outside the database knows it, as a row of the table of processes."""

from __future__ import annotations

from ..broker.records import SeenProcess
from ..models import Process


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
