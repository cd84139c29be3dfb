"""What the scripts' facts say, in the contract's words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from ...states import State
from .. import records
from ..facts import Counters, Dropped, Fact, FactPage, Recorded, Rest, Start, Step
from ..records import NewJob, Outcome
from ..tally import LOST, Tally
from .moments import moment, moment_or_none
from .record import Heard, Record
from .scripts import decode
from .values import claim_of, id_of


class _Fact(msgspec.Struct, array_like=True, frozen=True):
    """A fact as `lua/parts/end.lua` writes it."""

    step: str
    state: str
    id: msgspec.Raw
    run: int
    at: int
    ready: int | bool
    worker: str
    words: list[str]
    ran: int | bool
    waited: int | bool


_HOUR = 3_600_000_000
_read_told = msgspec.msgpack.Decoder(list[tuple[_Fact, Record | None, Heard | None]]).decode
_read_dropped = msgspec.msgpack.Decoder(list[tuple[_Fact, str]]).decode


def page_of(queue: str, answer: Sequence[bytes]) -> FactPage:
    """What `read_facts.lua` answers."""
    head, dropped, told = answer
    generation, last, more, calm, has_lost, counters, lives = decode(head)
    gone, counted = _dropped(dropped)
    return FactPage(
        generation,
        last,
        tuple(_fact(queue, *one) for one in _read_told(told)),
        has_lost,
        tuple(Counters(moment(hour), *numbers) for hour, *numbers in counters),
        gone,
        counted,
        more,
        calm,
        tuple((life, end) for life, end in lives),
    )


def _dropped(told: bytes) -> tuple[tuple[Dropped, ...], Mapping[datetime, Tally]]:
    """The jobs that leave nothing in the history but what is counted of them, and that."""
    jobs: defaultdict[tuple[int, str, int], list[tuple[str, str]]] = defaultdict(list)
    hours: defaultdict[int, Tally] = defaultdict(Tally)
    for one, task in _read_dropped(told):
        hour = one.at // _HOUR
        jobs[one.run, one.state, hour].append((id_of(one.id).hex, task))
        if one.ran is False:
            hours[hour].add(task, one.state)
        else:
            hours[hour].add_start(task, one.state, one.ran, int(one.waited))
        if one.step == "lost":
            hours[hour].add(task, LOST)
    dropped = []
    for (run, state, hour), alike in jobs.items():
        ids, tasks = zip(*alike, strict=True)
        dropped.append(Dropped(run, State(state), moment(hour * _HOUR), ids, tasks))
    return tuple(dropped), {moment(hour * _HOUR): counts for hour, counts in hours.items()}


def _fact(queue: str, told: _Fact, record: Record | None, settled: Heard | None) -> Fact:
    id, step = id_of(told.id), Step(told.step)
    hold = told.words[1].split(" ") if step in (Step.LOST, Step.INTERRUPTED) else None
    if step is Step.COUNTED:
        return _counted(id, told)
    return Fact(
        step=step,
        job=id,
        run=told.run,
        state=State(told.state),
        at=moment(told.at),
        ready_at=moment_or_none(told.ready),
        worker=told.worker,
        reason=told.words[0] if told.words else "",
        claim=claim_of(hold[1]) if hold else settled.claim if settled else 0,
        claimed_at=moment(int(hold[2])) if hold else None,
        before=recorded(queue, id, record) if record else None,
        start=_start(settled, told) if settled else None,
    )


def _counted(id: UUID, told: _Fact) -> Fact:
    started, *numbers, claim = told.words
    rest = Rest(moment(int(started)) if started else None, *map(int, numbers))
    at = moment(told.at)
    return Fact(Step.COUNTED, id, told.run, State(told.state), at, claim=int(claim), rest=rest)


def recorded(queue: str, id: UUID, record: Record) -> Recorded:
    """A job by its record."""
    head, told = record.head, record.told
    job = NewJob(
        id=id,
        queue=queue,
        task=told.task,
        message=told.message,
        priority=head.priority,
        run=head.run,
        key=record.key,
        ready_at=record.ready_at,
        expires_at=moment_or_none(head.expires),
        event=told.event,
        event_id=record.event_id,
        about=record.about,
        parent_id=record.parent_id,
        scope=told.scope,
        group=told.group,
        tags=record.tags,
        lane=head.lane,
    )
    return Recorded(job, moment(head.created), record.timed_at, head.attempts, head.starts, head.lost)


def _start(said: Heard, told: _Fact) -> Start:
    outcome: type[Outcome] = getattr(records, said.outcome)
    return Start(
        outcome=outcome,
        burns=said.burns,
        claimed_at=moment(said.claimed_at),
        started_at=moment_or_none(said.started_at),
        ended_at=moment_or_none(said.ended_at),
        error=said.error,
        traceback=said.traceback,
        reason=said.reason,
        result=said.result,
        ran=int(told.ran),
        waited=int(told.waited),
        release=said.release,
    )
