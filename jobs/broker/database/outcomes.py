"""What an outcome is called and counted as, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...models import AttemptOutcome
from ..records import (
    Answer,
    Completed,
    Failed,
    GivenUp,
    HandedBack,
    Outcome,
    Postponed,
    Retried,
    Settled,
    Settlement,
)

#: How the start that led to an outcome is called in the history.
ATTEMPT_OUTCOME: dict[type[Outcome], str] = {
    Completed: AttemptOutcome.COMPLETED.value,
    Retried: AttemptOutcome.FAILED.value,
    Failed: AttemptOutcome.FAILED.value,
    Postponed: AttemptOutcome.POSTPONED.value,
    HandedBack: AttemptOutcome.HANDED_BACK.value,
    GivenUp: AttemptOutcome.CANCELLED.value,
}
_MILLISECOND = timedelta(milliseconds=1)
REFUSED, BUSY = Settled(Answer.REFUSED), Settled(Answer.BUSY)
#: Outcomes that end an attempt.
BURNS_AN_ATTEMPT = (Completed, Retried, Failed)


def token_number(token: str) -> int | None:
    """The number in a token; None if no claim of this broker can have made it."""
    return int(token) if token.isascii() and token.isdigit() and len(token) <= 18 else None


def began_at(settlement: Settlement, now: datetime) -> datetime | None:
    """When the task's first line ran, if it did; never in the future, as `ended_at`."""
    return min(settlement.started_at, now) if settlement.started_at is not None else None


def ended_at(settlement: Settlement, now: datetime) -> datetime:
    """When the start ended; never in the future.

    The clock may have been set back since the claim, and a worker's reading of it may be a little ahead.
    """
    return min(settlement.ended_at or now, now)


def milliseconds(start: datetime, end: datetime) -> int:
    """The whole milliseconds between two moments, never below 0."""
    return max(0, round((end - start) / _MILLISECOND))
