"""Which tick of which schedule made a job: read from its event's name and id, so that it costs a job nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID

from ..broker.records import ClaimedJob

#: What the jobs of ticks are about, and what the name of their event begins with.
SCHEDULE, _TICK = "jobs.schedule", "tick "
MAX_EVENT = 100


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of a schedule: the schedule's name (the first 95 letters of it) and the time, aware, in UTC."""

    schedule: str
    at: datetime


def tick_event(schedule: str) -> str:
    """The name of the event that a schedule's ticks are to the jobs that they make."""
    return f"{_TICK}{schedule}"[:MAX_EVENT]


def tick_id(schedule: str, at: datetime) -> UUID:
    """The id of the event that this tick is: a UUIDv8 of the time in milliseconds and the schedule's name."""
    rest = int.from_bytes(blake2b(schedule.encode(), digest_size=10).digest()) & ((1 << 74) - 1)
    low, high = rest & ((1 << 62) - 1), rest >> 62
    return UUID(int=int(at.timestamp() * 1000) << 80 | 0x8 << 76 | high << 64 | 0b10 << 62 | low)


def tick_of(job: ClaimedJob) -> Tick | None:
    """The tick that made the job; None for a job that was made in another way."""
    if job.about is None or job.about[0] != SCHEDULE or job.event_id is None or not job.event.startswith(_TICK):
        return None
    return Tick(job.event.removeprefix(_TICK), datetime.fromtimestamp((job.event_id.int >> 80) / 1000, UTC))
