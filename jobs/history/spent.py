"""Where the time of a job went that has ended: waits, runs, losses and hand-backs, from its row and its attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..models import Attempt, Job
from ..models.attempt import AttemptOutcome
from . import lookup
from .timeline import pieces_of

#: What a piece of its life counts as.
_CODES = {
    **dict.fromkeys(("blocked", "scheduled"), "before_due"),
    **dict.fromkeys(("waiting", "before"), "waiting"),
    **dict.fromkeys(("delay", "again", "dead"), "between"),
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
    if job.ended_at is None:
        return ()
    rows = Attempt.objects.using(lookup.all_jobs().db).filter(job_id=job.pk, run=job.run).order_by("pk")
    starts = list(rows.only("run", "outcome", "claimed_at", "started_at", "ended_at")[:MOST_ATTEMPTS])
    if job.run > 1 and not starts:
        return ()
    sums: dict[str, list[float]] = {}
    # of a further run the way to its first start began before it
    for piece in pieces_of(job, starts, job.ended_at, cut=job.run > 1):
        if piece.until > piece.since:
            sums.setdefault(_CODES.get(piece.kind, "handed_back"), []).append(piece.seconds)
    return tuple(Spent(code, sum(each), len(each)) for code, each in sums.items() if sum(each) >= 0.001)


def total(parts: Sequence[Spent]) -> float:
    """All of it, in seconds."""
    return sum(part.seconds for part in parts)
