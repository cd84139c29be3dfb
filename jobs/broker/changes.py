"""What can be changed of a job that waits, and what a broker answers to that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Change:
    """What is to change of a job; None leaves it as it is.

    `delay` counts in seconds from the moment the broker makes the change, `at` is a time in its place, and past means
    now; `priority` is the stored one. `message` replaces the arguments, if these still are `was`.
    """

    delay: float | None = None
    at: datetime | None = None
    priority: int | None = None
    message: str | None = None
    was: str | None = None

    @property
    def is_timed(self) -> bool:
        """Whether the job is to be due at another time."""
        return self.delay is not None or self.at is not None

    def ready_at(self, now: datetime) -> datetime | None:
        """When the job is due that is changed at `now`; None: as before."""
        if self.at is not None:
            return max(self.at, now)
        return None if self.delay is None else now + timedelta(seconds=self.delay)

    def timed_at(self, now: datetime) -> datetime | None:
        """From which moment that is counted; None: it was asked for as a time."""
        return None if self.at is not None and self.at > now else now


class ChangeAnswer(StrEnum):
    """What became of a change."""

    CHANGED = "changed"
    ASKED = "asked"  # a transaction is open: the broker is told after its commit, if the job still waits then
    ACTIVE = "active"  # it runs: nothing was changed
    ENDED = "ended"  # too late
    OTHER = "other"  # its arguments are not those any more
