"""A job's life in pieces of time: what it waited for, each start by how it ended, and what came between the starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..models import Attempt, Job
from ..states import State

#: What a piece between two starts counts as, after a start that ended so: backoff and `RetryLater` have a due time.
_DELAYING = frozenset({"failed", "postponed"})
_WAITING = frozenset({State.QUEUED, State.PENDING, State.BLOCKED})


@dataclass(frozen=True, slots=True)
class Piece:
    """What a job's time went to from `since` to `until`; `open`: it goes on.

    `kind` is the outcome of a start, or *running*; or, where it did not run: *blocked* (until what it waits for has
    ended), *scheduled* (until it was due), *waiting* (due, for its start), *before* (until its first start, of which
    it is not known when it was due), *delay* (until the next attempt was due), *again* (for a further start) or *dead*
    (a dead letter, for a person).
    """

    kind: str
    since: datetime
    until: datetime
    run: int
    start: Attempt | None = None
    open: bool = False

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return max(0.0, (self.until - self.since).total_seconds())


def pieces_of(
    job: Job, starts: Sequence[Attempt], now: datetime, *, waited_for_jobs: bool = False, cut: bool = False
) -> list[Piece]:
    """The job's life until `now`, in its order.

    `starts` are those that have ended, the oldest first; `cut`: there were some before them. `waited_for_jobs`: what
    came before it was due was the wait for other jobs.
    """
    return list(_pieces(job, starts, now, "blocked" if waited_for_jobs else "scheduled", cut))


def _pieces(job: Job, starts: Sequence[Attempt], now: datetime, first: str, cut: bool) -> Iterator[Piece]:
    at = began_at(starts[0]) if cut and starts else job.created_at
    before: Attempt | None = None
    # the due time of the last start; while the job waits, of the one to come
    last = None if job.state in _WAITING or job.state == State.ACTIVE or not starts else starts[-1]
    for start in starts:
        began = began_at(start)
        if start is not starts[0] or not cut:
            yield from _gap(job, before, at, began, start.run, first, is_known=start is last)
        yield Piece(start.outcome, began, max(began, start.ended_at), start.run, start)
        at, before = max(began, start.ended_at), start
    yield from _rest(job, before, at, now, first)


def _rest(job: Job, before: Attempt | None, at: datetime, now: datetime, first: str) -> Iterator[Piece]:
    """What came after the last start that has ended."""
    if job.state == State.ACTIVE:
        began = job.started_at or job.claimed_at or at
        yield from _gap(job, before, at, began, job.run, first, is_known=True)
        yield Piece("running", began, max(began, now), job.run, open=True)
    elif job.state == State.BLOCKED:
        yield Piece("blocked", at, max(at, now), job.run, open=True)
    elif job.state in _WAITING:
        *done, last = _gap(job, before, at, max(at, now), job.run, first, is_known=True)
        yield from done
        yield Piece(last.kind, last.since, last.until, last.run, open=True)
    elif job.ended_at is not None and job.ended_at > at:
        yield from _gap(job, before, at, job.ended_at, job.run, first, is_known=before is None)


def _gap(
    job: Job, before: Attempt | None, since: datetime, until: datetime, run: int, first: str, *, is_known: bool
) -> Iterator[Piece]:
    """The time in which it did not run: in two parts where it is known when it was due."""
    if before is None and not (is_known and job.starts <= 1 and run == 1):
        early = late = "before"
    elif before is None:
        early, late = first, "waiting"
    elif run != before.run or (job.state == State.CANCELLED and before.outcome == "failed" and not is_known):
        early, late = "dead", "again"
    else:
        early, late = "delay" if before.outcome in _DELAYING else "again", "again"
    due = min(max(job.ready_at, since), until) if is_known else until
    if early == late or due == until:
        yield Piece(early, since, max(since, until), run)
        return
    if due > since:
        yield Piece(early, since, due, run)
    yield Piece(late, due, until, run)


def began_at(start: Attempt) -> datetime:
    """When it began, or the nearest that is known."""
    return start.started_at or start.claimed_at or start.ended_at
