"""Settle and claim on PostgreSQL: the parameters of `exchange_jobs.sql`, and what its answer means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ... import clock
from ...rows import MAX_REASON, STAT_PART
from ...states import State
from ..records import (
    ClaimedJob,
    Completed,
    Expired,
    Failed,
    GivenUp,
    HandedBack,
    Outcome,
    Postponed,
    Retried,
    Settlement,
)
from .claim import claimed_job
from .connection import Trip
from .settle import ATTEMPT_OUTCOME, BURNS_AN_ATTEMPT, milliseconds, token_number

#: Seconds that a claim may take until the dead rows in front of the due ones are skipped.
SLOW = 0.010
#: What is skipped begins so many seconds before the last claimed job: others may commit a little later.
SLACK = 1.0
#: While rows are skipped, a claim that skips none comes after so many times its own length, at most after LONGEST.
FULL_EVERY, LONGEST = 20.0, 5.0
_NO_BOUNDS = "{" + ",".join(["-infinity"] * 10) + "}"
_ACT: dict[type[Outcome], str] = {
    Completed: "complete",
    Retried: "retry",
    Failed: "fail",
    GivenUp: "give_up",
    Postponed: "hand_back",
    HandedBack: "hand_back",
    Expired: "hand_back",
}


@dataclass(slots=True)
class Lane:
    """Where a queue's due jobs begin, for each priority, as this process saw it.

    An old snapshot anywhere in the server keeps rows alive that are settled long since, and a claim walks over all of
    them. A bound holds only while `returns` does, which the queue's row counts up in every transaction that puts a job
    back to its old place. What else a bound skips wrongly, a job of a transaction that committed more than SLACK
    seconds late, is found by the next claim without bounds.
    """

    since: dict[int, datetime] = field(default_factory=dict)
    returns: int = 0
    slow: bool = False
    full_at: float = 0.0

    def bounds(self) -> str:
        """The array of bounds for the next claim."""
        if not self.slow or clock.monotonic() >= self.full_at:
            return _NO_BOUNDS
        slack = timedelta(seconds=SLACK)
        known = {priority: (moment - slack).isoformat() for priority, moment in self.since.items()}
        return "{" + ",".join(known.get(priority, "-infinity") for priority in range(1, 11)) + "}"

    def learn(self, jobs: Sequence[ClaimedJob], bounds: str, returns: int, seconds: float) -> None:
        """Note what a claim with these bounds brought, in their order, and how long it took."""
        full = bounds == _NO_BOUNDS or returns != self.returns
        if full:
            self.since.clear()
            self.returns = returns
            self.slow = seconds > SLOW
            self.full_at = clock.monotonic() + min(FULL_EVERY * seconds, LONGEST)
        for job in jobs:
            self.since[job.priority] = max(job.ready_at, self.since.get(job.priority, job.ready_at))


@dataclass(frozen=True, slots=True)
class Answer:
    """What one statement brought; `wait` as in `Exchange`, None also when no claim was wanted."""

    settled: tuple[bool, ...] = ()
    jobs: tuple[ClaimedJob, ...] = ()
    wait: float | None = None


def exchange_jobs(
    trip: Trip, worker: UUID, queue: str, settlements: Sequence[Settlement], wanted: int, alone: bool, lane: Lane
) -> Answer:
    """Settle and claim in one statement; jobs met too late end in a second one, so the trip is then a transaction."""
    given = _unique(settlements)
    bounds = lane.bounds()
    began = clock.monotonic()
    found = trip.run(
        "exchange_jobs",
        worker=worker,
        queue=queue,
        settlements=json.dumps([_as_json(settlement) for settlement in given], ensure_ascii=False),
        since=bounds,
        returns=lane.returns,
        wanted=0 if alone else wanted,
        wanted_alone=wanted if alone else 0,
        part=STAT_PART,
    )
    took = clock.monotonic() - began
    moment = next(row for row in found if row[0] == "moment")
    now = moment[10].astimezone(UTC)
    jobs = [claimed_job(row[1:], queue, now, began) for row in found if row[0] == "claimed"]
    jobs.sort(key=lambda job: (job.priority, job.ready_at, job.id))
    states = {row[1]: row for row in found if row[0] == "settled"}
    counted = {id(settlement) for settlement in given if settlement.job.id in states}
    for settlement in given:
        row = states.get(settlement.job.id)
        if isinstance(settlement.outcome, Expired) and row and row[3] == State.QUEUED:
            trip.run("expire_job", id=settlement.job.id)
            trip.count(settlement.job.queue, expired=1)
    trip.write_counts()
    if wanted and not alone and moment[2]:
        lane.learn(jobs, bounds, moment[6], took)
    back = [row[10] for row in states.values() if row[3] == State.QUEUED]
    return Answer(
        settled=tuple(id(settlement) in counted for settlement in settlements),
        jobs=tuple(jobs),
        wait=_wait(moment, now, back, full=0 < wanted == len(jobs)),
    )


def _wait(moment: Sequence[Any], now: datetime, back: Sequence[datetime], *, full: bool) -> float | None:
    """For how long there is nothing to claim; what this statement settled, it could not claim itself (`back`)."""
    held_until, open_, head = moment[12], moment[2], moment[13]
    if not open_:
        return (held_until - now).total_seconds() if held_until is not None and held_until > now else None
    if full:
        return 0.0
    due = [max(0.0, (when - now).total_seconds()) for when in (*back, head) if when is not None]
    return min(due, default=None)


def _unique(settlements: Sequence[Settlement]) -> list[Settlement]:
    """The settlements that can count, ordered by id: of two for one claim only the first."""
    first: dict[tuple[UUID, str], Settlement] = {}
    for settlement in settlements:
        if token_number(settlement.job.token) is not None:
            first.setdefault((settlement.job.id, settlement.job.token), settlement)
    return sorted(first.values(), key=lambda settlement: settlement.job.id)


def _as_json(settlement: Settlement) -> dict[str, Any]:
    job, outcome = settlement.job, settlement.outcome
    started_at, ended_at = settlement.started_at, settlement.ended_at
    error, reason = _text(getattr(outcome, "error", "")), _text(getattr(outcome, "reason", ""))
    values: dict[str, Any] = {
        "id": job.id.hex,
        "token": token_number(job.token),
        "act": _ACT[type(outcome)],
        "burns": int(getattr(outcome, "attempted", True)) if isinstance(outcome, BURNS_AN_ATTEMPT) else 0,
        "delay": getattr(outcome, "delay", None),
        "unknown": getattr(outcome, "unknown", False),
        "whole_queue": getattr(outcome, "whole_queue", False),
        "ran_ms": 0,
        "waited_ms": 0,
        "result": getattr(outcome, "result", None),
        "error": error,
        "reason": reason[:MAX_REASON],
        "outcome": ATTEMPT_OUTCOME[type(outcome)],
        "note": error or reason,
        "traceback": _text(getattr(outcome, "traceback", "")),
    }
    if ended_at is not None:
        values["ended_at"] = ended_at.isoformat()
    if started_at is not None:
        values["started_at"] = started_at.isoformat()
        values["ran_ms"] = milliseconds(started_at, ended_at or started_at)
        values["waited_ms"] = milliseconds(job.ready_at, started_at)
    return values


def _text(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\0", "\\0")
