"""Where the time of a job went that has ended: waits, runs, losses and hand-backs, from its row and its attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..models import Attempt, Job
from ..models.attempt import AttemptOutcome
from . import lookup

#: What an attempt's time counts as.
_CODES = {
    AttemptOutcome.COMPLETED.value: "ran",
    AttemptOutcome.FAILED.value: "failed",
    AttemptOutcome.CANCELLED.value: "ran",
    AttemptOutcome.LOST.value: "lost",
}
MOST_ATTEMPTS = 1_000


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a job's life that went to one thing, and how often it happened.

    `code`: `before_due` (until it was due, or until what it waited for had ended), `waiting` (due, for its start),
    `ran`, `failed` (attempts that ended badly), `lost` (with a dead worker), `handed_back` (started and given back),
    `between` (backoff, and waits for a further start).
    """

    code: str
    seconds: float
    times: int = 1


def spent_of(job: Job) -> tuple[Spent, ...]:
    """Where the time of the job's present run went, in the order of a life; nothing of a job that was never due."""
    rows = Attempt.objects.using(lookup.all_jobs().db).filter(job_id=job.pk, run=job.run).order_by("pk")
    starts = list(rows.only("outcome", "claimed_at", "started_at", "ended_at")[:MOST_ATTEMPTS])
    if job.ended_at is None:
        return ()
    first = _began(starts[0]) if starts else job.ended_at
    due = min(max(job.ready_at, job.created_at), first) if job.starts <= 1 else job.created_at
    sums: dict[str, list[float]] = {}
    if job.run == 1:
        _add(sums, "before_due", job.created_at, due)
        _add(sums, "waiting", due, first)
    before: datetime | None = None
    for one in starts:
        if before is not None:
            _add(sums, "between", before, _began(one))
        _add(sums, _CODES.get(one.outcome, "handed_back"), _began(one), one.ended_at)
        before = one.ended_at
    if before is not None:
        _add(sums, "between", before, job.ended_at)
    return tuple(Spent(code, sum(each), len(each)) for code, each in sums.items() if sum(each) >= 0.001)


def _began(start: Attempt) -> datetime:
    return start.started_at or start.claimed_at or start.ended_at


def _add(sums: dict[str, list[float]], code: str, since: datetime, until: datetime) -> None:
    if until > since:
        sums.setdefault(code, []).append((until - since).total_seconds())


def total(parts: Sequence[Spent]) -> float:
    """All of it, in seconds."""
    return sum(part.seconds for part in parts)
