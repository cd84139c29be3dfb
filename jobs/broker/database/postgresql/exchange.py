"""Settle and claim on PostgreSQL in one statement, made of the parts in `exchange_parts` that this exchange needs.

One statement and one snapshot: what is settled here cannot be claimed here. It waits for nobody's job, queue or
counters (`part` is this process's own row): what is locked is neither settled nor claimed. The parts, in their order:

begin; levels, or levels_past_dead_rows; pick, or pick_alone, pick_given, pick_nothing; own; settle_given with note or
note_nothing, or settle_nothing; end.

A part that is left out is not planned and not started: for one job that is what an exchange costs. States are written
out in them, because a generic plan uses the partial indexes only then; a CASE hides the conditions of a settle from the
planner, which shall go by the primary key and not look for the few rows that they fit.

The parameters: settlements, JSON, one object each, ordered by job id; `act` is one of complete, retry, fail, give_up,
hand_back; `notes`: it writes to the queue's row. number: the exchange's; nothing happens unless it is higher than the
worker's last one. The answer has rows of three kinds: 'settled' (id, state reached as task, whether others wait for
its end as run), 'claimed' (the job), and
one 'moment' (now as ready_at, whether the number was new as run, whether a claim was possible as priority, returns as
token, microseconds of the walk as attempts, seconds until the next look as message, whether a limit was in the way as
starts, whether jobs with a lane kept it from claiming as lost).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from .... import clock
from ....fingerprint import cause_of
from ....policy import QueuePolicy
from ....states import State
from ...records import (
    Answer,
    ClaimedJob,
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
from ...tally import NO_START, class_of
from ..causes import CauseRow
from ..claim import claimed_job, start_order
from ..outcomes import ATTEMPT_OUTCOME, BURNS_AN_ATTEMPT, BUSY, REFUSED, milliseconds, token_number
from ..reply import still_held
from ..rows import part_of_this_thread
from ..values import MAX_REASON
from .connection import PostgresqlTrip
from .dead_rows import A_JOB, NO_BOUNDS, Bounds, Seen

#: A number that is higher than any worker's: such an exchange counts always.
MOST = 2**63 - 1

_ACT: dict[type[Outcome], str] = {
    Completed: "complete",
    Retried: "retry",
    Failed: "fail",
    GivenUp: "give_up",
    Postponed: "hand_back",
    HandedBack: "hand_back",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What one statement brought; `wait` as in `Exchange`, None also when no claim was wanted.

    `awaited`: others wait for a job that ended here. `fresh`: the number was higher than the worker's last one, else
    nothing happened. `seen`: what a usual claim learnt of the queue, None where it was not possible. Nothing was
    claimed where jobs with a lane wait (`laned`), or where there is a limit (`limited`).
    """

    settled: tuple[Settled, ...] = ()
    jobs: tuple[ClaimedJob, ...] = ()
    wait: float | None = None
    seen: Seen | None = None
    fresh: bool = True
    awaited: bool = False
    limited: bool = False
    laned: bool = False


def exchange_jobs(
    trip: PostgresqlTrip,
    worker: UUID,
    queue: str,
    settlements: Sequence[Settlement],
    wanted: int,
    *,
    number: int = MOST,
    alone: bool = False,
    bounds: Bounds = NO_BOUNDS,
    saves: bool = False,
    ids: Sequence[UUID] | None = None,
    unless_limited: QueuePolicy | None = None,
) -> Found:
    """Settle and claim in one statement; `saves`: remember the reply, if there is anything in it.

    `ids`: claim these, and in this order. With `unless_limited` it claims nothing where that policy, or what was set at
    run time, limits the queue.
    """
    limits = unless_limited
    given = _unique(settlements)
    began = clock.monotonic()
    found = trip.run_parts(
        "begin",
        *_claiming(wanted, alone, bounds, ids),
        "own",
        *_settling(given),
        "end",
        worker=worker,
        queue=queue,
        settlements=json.dumps([_as_json(settlement) for settlement in given], ensure_ascii=False),
        settles=bool(settlements),
        number=number,
        saves=saves,
        priorities=list(bounds.since),
        since=list(bounds.since.values()),
        returns=bounds.returns,
        wanted=wanted,
        ids=ids,
        part=part_of_this_thread(),
        unless_limited=limits is not None,
        is_paced=limits is not None and limits.rate_limit is not None,
        is_bounded=limits is not None and limits.global_concurrency is not None,
    )
    moment = next(row for row in found if row[0] == "moment")
    now = moment[10].astimezone(UTC)
    jobs = [claimed_job(row[1:], queue, now, began) for row in found if row[0] == "claimed"]
    places = {id: place for place, id in enumerate(ids or ())}
    jobs.sort(key=start_order if ids is None else lambda job: places[job.id])
    _note_causes(trip, given, {row[1] for row in found if row[0] == "settled" and row[3] == State.FAILED})
    states = {row[1]: Settled(Answer.COUNTED, State(row[3])) for row in found if row[0] == "settled"}
    answers = {id(settlement): states[settlement.job.id] for settlement in given if settlement.job.id in states}
    if moment[2] and len(answers) < len(given):
        left = [settlement for settlement in given if settlement.job.id not in states]
        busy = still_held(trip, worker, left)
        answers |= {id(settlement): BUSY for settlement in left if settlement.job.id in busy}
    laned = bool(moment[9])
    return Found(
        laned=laned,
        fresh=bool(moment[2]),
        limited=bool(moment[8]),
        awaited=any(row[2] for row in found if row[0] == "settled"),
        settled=tuple(answers.get(id(settlement), REFUSED) for settlement in settlements),
        jobs=tuple(jobs),
        wait=None if moment[4] is None else max(0.0, float(moment[4])),
        seen=_seen(moment, now, jobs, wanted, bounds)
        if wanted and not alone and moment[5] and not laned and ids is None
        else None,
    )


def _note_causes(trip: PostgresqlTrip, given: Sequence[Settlement], failed: Collection[UUID]) -> None:
    """Note what these dead letters are grouped by, apart: others pay nothing for it."""
    if failed:
        dead = [(one.job, one.outcome) for one in given if isinstance(one.outcome, Failed) and one.job.id in failed]
        trip.note_causes(
            [
                CauseRow(
                    id=job.id,
                    run=job.run,
                    cause=cause_of(job.task, outcome.error, outcome.traceback),
                    release=outcome.release,
                )
                for job, outcome in dead
            ]
        )


def look_for_due(trip: PostgresqlTrip, queue: str, bounds: Bounds) -> tuple[list[tuple[int, datetime | None]], Seen]:
    """The first queued job's priority and due time, for each priority; only reads."""
    found = trip.run_parts(
        "look_begin",
        _levels(bounds),
        "look_end",
        queue=queue,
        priorities=list(bounds.since),
        since=list(bounds.since.values()),
        returns=bounds.returns,
    )
    *_, returns, now, microseconds = found[-1]
    heads = [(row[0], row[1]) for row in found if row[0] is not None and not row[2]]
    laned = [(row[0], row[1]) for row in found if row[2]]
    # a known priority without a row has no job: the look passed over what an old snapshot keeps of it
    empty_before = dict.fromkeys(bounds.since, now)
    empty_before |= {priority: now if head is None else min(head, now) for priority, head in heads}
    due = sum(head is not None and head <= now for _, head in heads)
    return heads + laned, Seen(bounds, returns, empty_before, due, microseconds / 1e6, looked=True)


def _claiming(wanted: int, alone: bool, bounds: Bounds, ids: Sequence[UUID] | None) -> tuple[str, ...]:
    if not wanted:
        return ("pick_nothing",)
    if ids is not None:
        return ("pick_given",)
    return ("pick_alone",) if alone else (_levels(bounds), "pick")


def _levels(bounds: Bounds) -> str:
    return "levels_past_dead_rows" if any(bounds.since.values()) else "levels"


def _settling(given: Sequence[Settlement]) -> tuple[str, ...]:
    if not given:
        return ("settle_nothing",)
    notes = any(_notes(settlement.outcome) for settlement in given)
    return ("note" if notes else "note_nothing", "settle_given")


def _seen(moment: Sequence[Any], now: datetime, jobs: Sequence[ClaimedJob], wanted: int, bounds: Bounds) -> Seen:
    """Which priorities were walked, in their order: all of them, or those up to where the last job was found."""
    returns, microseconds = moment[6:8]
    known = {*bounds.since, *(job.priority for job in jobs)}
    empty_before = dict.fromkeys(known, now)
    if len(jobs) == wanted:
        last = jobs[-1]
        empty_before = {priority: now for priority in known if priority > last.priority}
        empty_before[last.priority] = last.ready_at
    return Seen(bounds, returns, empty_before, len(jobs), microseconds / 1e6 - A_JOB * len(jobs))


def _notes(outcome: Outcome) -> bool:
    """Whether the settlement writes to the queue's row: all shall wait, or a job stands at its old place again."""
    return getattr(outcome, "whole_queue", False) or (isinstance(outcome, HandedBack) and outcome.delay is None)


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
        "notes": _notes(outcome),
        "ran": NO_START,
        "waited": NO_START,
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
        values["ran_ms"] = ran = milliseconds(started_at, ended_at or started_at)
        values["waited_ms"] = waited = milliseconds(job.ready_at, started_at)
        values["ran"], values["waited"] = class_of(ran), class_of(waited)
    return values


def _text(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\0", "\\0")
