"""Settle and claim on PostgreSQL: the parameters of `exchange_jobs.sql`, and what its answer means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from .... import clock
from ....states import State
from ...records import (
    Answer,
    ClaimedJob,
    Completed,
    Expired,
    Failed,
    GivenUp,
    HandedBack,
    Outcome,
    Postponed,
    Retried,
    Settled,
    Settlement,
)
from ..claim import claimed_job
from ..connection import Trip
from ..rows import STAT_PART
from ..settle import ATTEMPT_OUTCOME, BURNS_AN_ATTEMPT, REFUSED, milliseconds, token_number
from ..values import MAX_REASON
from .lane import A_JOB, EXPIRY, MOST_EXPIRED, PRIORITIES, Bounds, Seen

_ACT: dict[type[Outcome], str] = {
    Completed: "complete",
    Retried: "retry",
    Failed: "fail",
    GivenUp: "give_up",
    Postponed: "hand_back",
    HandedBack: "hand_back",
    Expired: "hand_back",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What one statement brought; `wait` as in `Exchange`, None also when no claim was wanted.

    `seen`: what a usual claim learnt of the queue, None where it was not possible.
    """

    settled: tuple[Settled, ...] = ()
    jobs: tuple[ClaimedJob, ...] = ()
    wait: float | None = None
    seen: Seen | None = None


def exchange_jobs(
    trip: Trip, worker: UUID, queue: str, settlements: Sequence[Settlement], wanted: int, alone: bool, bounds: Bounds
) -> Found:
    """Settle and claim in one statement; jobs met too late end in a second one, so the trip is then a transaction."""
    given = _unique(settlements)
    began = clock.monotonic()
    found = trip.run(
        "exchange_jobs",
        worker=worker,
        queue=queue,
        settlements=json.dumps([_as_json(settlement) for settlement in given], ensure_ascii=False),
        since=bounds.as_array(),
        expiring_since=bounds.expiring_since,
        returns=bounds.returns,
        wanted=0 if alone else wanted,
        wanted_alone=wanted if alone else 0,
        most_expired=MOST_EXPIRED if wanted else 0,
        part=STAT_PART,
    )
    moment = next(row for row in found if row[0] == "moment")
    now = moment[10].astimezone(UTC)
    jobs = [claimed_job(row[1:], queue, now, began) for row in found if row[0] == "claimed"]
    jobs.sort(key=lambda job: (job.priority, job.ready_at, job.id))
    states = {row[1]: row for row in found if row[0] == "settled"}
    counted: dict[int, Settled] = {}
    for settlement in given:
        if (row := states.get(settlement.job.id)) is None:
            continue
        state = State(row[3])
        if isinstance(settlement.outcome, Expired) and state is State.QUEUED:
            trip.run("expire_job", id=settlement.job.id)
            trip.count(settlement.job.queue, expired=1)
            state = State.EXPIRED
        counted[id(settlement)] = Settled(Answer.COUNTED, state)
    trip.write_counts()
    back = [row[10] for row in states.values() if row[3] == State.QUEUED]
    return Found(
        settled=tuple(counted.get(id(settlement), REFUSED) for settlement in settlements),
        jobs=tuple(jobs),
        wait=_wait(moment, now, back, full=0 < wanted == len(jobs)),
        seen=_seen(moment, now, jobs, wanted, bounds) if wanted and not alone and moment[2] else None,
    )


def look_for_due(trip: Trip, queue: str, bounds: Bounds) -> tuple[list[tuple[int, datetime | None]], Seen]:
    """The first queued job's priority and due time, for each priority; only reads."""
    found = trip.run("look_for_due", queue=queue, since=bounds.as_array(), returns=bounds.returns)
    *_, returns, now, microseconds = found[-1]
    heads = [(row[0], row[1]) for row in found]
    empty_before = {priority: now if head is None else min(head, now) for priority, head in heads}
    due = sum(head is not None and head <= now for _, head in heads)
    return heads, Seen(bounds, returns, empty_before, due, microseconds / 1e6)


def _seen(moment: Sequence[Any], now: datetime, jobs: Sequence[ClaimedJob], wanted: int, bounds: Bounds) -> Seen:
    """Which priorities were walked, in their order: all of them, or those up to where the last job was found."""
    returns, microseconds, expired = moment[6:9]
    empty_before = dict.fromkeys(PRIORITIES, now)
    if len(jobs) == wanted:
        last = jobs[-1]
        empty_before = {**dict.fromkeys(range(1, last.priority), now), last.priority: last.ready_at}
    if expired < MOST_EXPIRED:
        empty_before[EXPIRY] = now
    return Seen(bounds, returns, empty_before, len(jobs), microseconds / 1e6 - A_JOB * (len(jobs) + expired))


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
