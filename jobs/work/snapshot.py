"""What the signals hand over of a job that was settled."""

from __future__ import annotations

from ..broker.records import Settlement
from ..signals import JobSnapshot


def snapshot(settlement: Settlement) -> JobSnapshot:
    """The job as receivers of signals see it."""
    job = settlement.job
    return JobSnapshot(
        id=job.id,
        queue=job.queue,
        task=job.task,
        run=job.run,
        attempt=job.attempts + 1,
        starts=job.starts + 1,
        lost=job.lost,
        ready_at=job.ready_at,
        started_at=settlement.started_at,
        ended_at=settlement.ended_at,
        event=job.event,
        event_id=job.event_id,
        about=job.about,
    )
