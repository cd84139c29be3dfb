"""What `jobs.counts` answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """One queue in exact numbers.

    Now: `waiting` are due, `scheduled` not yet (both include jobs between two attempts), `active` run, `pending` are
    accepted and not yet with the broker, `dead_letters` wait for a person; `paused`, and `oldest_ready_at`: since when
    the longest-waiting due job waits (None if none does).

    Since ever, whatever retention or `clean` removed: jobs that ended `completed`, `failed`, `cancelled` or `expired`,
    attempts that were `retried`, starts that were `lost`, and dead letters that people `discarded`. A dead letter that
    is retried and fails again counts twice as `failed`.
    """

    queue: str
    waiting: int = 0
    scheduled: int = 0
    active: int = 0
    pending: int = 0
    dead_letters: int = 0
    paused: bool = False
    oldest_ready_at: datetime | None = None
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    retried: int = 0
    lost: int = 0
    discarded: int = 0
