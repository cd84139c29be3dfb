"""Settling on SQLite: what an outcome makes of an active job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ....fingerprint import cause_of
from ....states import State
from ...records import (
    Answer,
    Completed,
    Failed,
    GivenUp,
    HandedBack,
    Postponed,
    Retried,
    Settled,
    Settlement,
)
from ...tally import RETRIED
from ..connection import Trip
from ..groups import delay_groups
from ..outcomes import ATTEMPT_OUTCOME, BURNS_AN_ATTEMPT, REFUSED, began_at, ended_at, milliseconds, token_number
from ..values import MAX_REASON, text_of


def settle_all(trip: Trip, worker: UUID, label: str, settlements: Sequence[Settlement]) -> tuple[Settled, ...]:
    """Settle in order; refused where the job is no longer this worker's under that token."""
    answers: list[Settled] = []
    attempts: list[dict[str, Any]] = []
    holder = worker.hex
    for settlement in settlements:
        known = _known(settlement, holder, trip.now)
        state = None if known["token"] is None else _move(trip, settlement, known)
        answers.append(REFUSED if state is None else Settled(Answer.COUNTED, state))
        if state is not None:
            _count(trip, settlement, state)
            if settlement.started_at is not None:
                attempts.append(_attempt(settlement, label, known))
    if attempts:
        trip.run_each("insert_attempt", attempts)
    return tuple(answers)


def _known(settlement: Settlement, worker: str, now: datetime) -> dict[str, Any]:
    """What every settlement tells the database; `token` is None where no claim can have made it."""
    job, started_at = settlement.job, began_at(settlement, now)
    return {
        "id": job.id.hex,
        "token": token_number(job.token),
        "worker": worker,
        "started": int(started_at is not None),
        "started_at": None if started_at is None else text_of(started_at),
        "ended_at": text_of(ended_at(settlement, now)),
    }


def _move(trip: Trip, settlement: Settlement, known: dict[str, Any]) -> State | None:
    """Make the move that the outcome asks for; returns the state reached, or None if the settlement does not count.

    Where only one state can be reached the statement answers nothing: on SQLite a RETURNING doubles what it costs.
    """
    job, outcome, now = settlement.job, settlement.outcome, trip.now
    match outcome:
        case Completed(result):
            return State.COMPLETED if trip.change("complete_job", **known, result=result) else None
        case Failed(error, traceback, attempted, release):
            cause = {"cause": cause_of(job.task, error, traceback), "release": release}
            failed = trip.change("fail_job", **known, attempted=int(attempted), error=error, **cause)
            return State.FAILED if failed else None
        case GivenUp(reason):
            return State.CANCELLED if trip.change("give_up_job", **known, reason=reason[:MAX_REASON]) else None
        case Retried(delay, error):
            moved = trip.run("retry_job", **known, ready_at=_after(now, delay), now=text_of(now), error=error)
        case Postponed(delay, reason, whole_queue, whole_group):
            moved = _hand_back(trip, known, _after(now, delay), reason)
            if moved and whole_queue:
                trip.run("delay_queue", queue=job.queue, until=_after(now, delay), now=text_of(now))
            elif moved and whole_group and job.group:
                delay_groups(trip, job.queue, [(job.group, delay)])
        case HandedBack(reason, back_in, unknown):
            moved = _hand_back(trip, known, None if back_in is None else _after(now, back_in), reason, unknown)
    return State(moved[0][0]) if moved else None


def _hand_back(
    trip: Trip, known: dict[str, Any], ready_at: str | None, reason: str, unknown: bool = False
) -> list[Any]:
    return trip.run(
        "hand_back_job",
        **known,
        ready_at=ready_at,
        reason=reason[:MAX_REASON],
        unknown=int(unknown),
        now=text_of(trip.now),
    )


def _count(trip: Trip, settlement: Settlement, state: State) -> None:
    job, outcome, started_at = settlement.job, type(settlement.outcome), settlement.started_at
    if state != State.QUEUED:
        counted_as: str = state
    else:
        counted_as = RETRIED if outcome is Retried else ATTEMPT_OUTCOME[outcome]
    if started_at is not None:
        ran, waited = milliseconds(started_at, settlement.ended_at or trip.now), milliseconds(job.ready_at, started_at)
        trip.tally(job.queue).add_start(job.task, counted_as, ran, waited)
    elif state != State.QUEUED or outcome is Retried:
        trip.count(job.queue, job.task, counted_as)


def _attempt(settlement: Settlement, label: str, known: dict[str, Any]) -> dict[str, Any]:
    job, outcome = settlement.job, settlement.outcome
    return {
        "job": known["id"],
        "run": job.run,
        "number": job.attempts + 1 if isinstance(outcome, BURNS_AN_ATTEMPT) else None,
        "outcome": ATTEMPT_OUTCOME[type(outcome)],
        "worker": label,
        "claimed_at": text_of(job.claimed_at),
        "started_at": known["started_at"],
        "ended_at": known["ended_at"],
        "error": getattr(outcome, "error", "") or getattr(outcome, "reason", ""),
        "traceback": getattr(outcome, "traceback", ""),
    }


def _after(now: datetime, seconds: float) -> str:
    return text_of(now + timedelta(seconds=seconds))
