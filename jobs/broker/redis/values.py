"""How jobs, settlements and moments travel to the scripts and back; time is microseconds since 1970."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import asdict

from ...states import State
from ..records import (
    ClaimedJob,
    Completed,
    Failed,
    FoundJob,
    GivenUp,
    HandedBack,
    KeyMode,
    NewJob,
    Outcome,
    Postponed,
    Pushed,
    PushStatus,
    Retried,
    Settlement,
    WaitingPage,
)
from .moments import micros, moment, moment_or_none, span
from .record import Heard, Said, Told, read_record

#: A job that comes back within this time is told of; workers look once a second by themselves.
HINT_WITHIN = 1.5
#: How MessagePack begins a text of 16 bytes, and how it writes true.
_ID_MARK, _TRUE = b"\xb0", b"\xc3"
_ENDS: dict[type, State] = {Completed: State.COMPLETED, Failed: State.FAILED, GivenUp: State.CANCELLED}


#: What `push.lua` and `register.lua` answer, with ids in it.
decode_pushed = msgspec.msgpack.Decoder(tuple[list[msgspec.Raw], str, int] | None).decode
decode_registered = msgspec.msgpack.Decoder(tuple[list[str], list[msgspec.Raw]]).decode
_write = msgspec.msgpack.Encoder().encode


def id_word(id: UUID) -> msgspec.Raw:
    """An id within what is asked for: a text of 16 bytes."""
    return msgspec.Raw(_ID_MARK + id.bytes)


def word(of: bytes) -> msgspec.Raw:
    """Some bytes within what is asked for, as a text: the server's MessagePack knows no other."""
    return msgspec.Raw(b"\xdb" + len(of).to_bytes(4, "big") + of)


def id_of(word: msgspec.Raw) -> UUID:
    """The id within what a script answers."""
    return UUID(bytes=bytes(word)[len(_ID_MARK) :])


def new_job(job: NewJob) -> dict[str, Any]:
    """A job on its way in, as `push.lua` takes it."""
    seldom: dict[str, Any] = {"awaited": True} if job.awaited else {}
    if job.lane:
        seldom |= {"lane": job.lane}
    if job.group_max is not None:
        seldom |= {"most": job.group_max}
    return seldom | {
        "id": id_word(job.id),
        "run": job.run,
        "priority": job.priority,
        "delay": span(job.delay),
        "at": micros(job.at) if job.at else False,
        "ready": micros(job.ready_at) if job.ready_at else False,
        "expires_in": span(job.expires_in) if job.expires_in is not None else False,
        "expires": micros(job.expires_at) if job.expires_at else False,
        "key": job.key if job.key is not None else False,
        "attempts": job.attempts,
        "starts": job.starts,
        "lost": job.lost,
    }


def ruled_job(job: NewJob, windows: dict[str, int]) -> dict[str, Any]:
    """The same of one that may have a rule; `windows` gets the number of each key that a throttle remembers."""
    words = new_job(job)
    if job.rule is not None and job.key is not None:
        words |= {"rule": str(job.rule.mode), "span": span(job.rule.seconds)}
        if job.rule.mode is KeyMode.THROTTLE:
            words["window"] = windows.setdefault(job.key, len(windows) + 1)
    return words


def told_of(job: NewJob) -> bytes:
    """What else is told of a job on its way in."""
    told: list[str | bytes] = [
        job.task,
        job.message,
        job.scope,
        job.event,
        job.event_id.bytes if job.event_id else b"",
        job.parent_id.bytes if job.parent_id else b"",
        *(job.about or ("", "")),
        job.group,
        json.dumps(job.tags, ensure_ascii=False) if job.tags else "",
    ]
    while not told[-1]:
        told.pop()
    return _write(told)


def told_as_bytes(told: Told) -> bytes:
    """The same of what is told of a live job."""
    values: list[str | bytes] = list(msgspec.structs.astuple(told))
    while not values[-1]:
        values.pop()
    return _write(values)


def _claimed_job(
    queue: str, id: bytes, raw: bytes, life: str, number: int, at: datetime, monotonic: float, guard: float | None
) -> ClaimedJob:
    record = read_record(raw)
    head, told = record.head, record.told
    return ClaimedJob(
        id=UUID(bytes=id),
        run=head.run,
        queue=queue,
        task=told.task,
        message=told.message,
        priority=head.priority,
        token=f"{life}.{number}",
        attempts=head.attempts,
        starts=head.starts,
        lost=head.lost,
        ready_at=record.ready_at,
        claimed_at=at,
        key=record.key,
        expires_at=moment_or_none(head.expires),
        unknown_since=moment_or_none(head.unknown),
        event=told.event,
        event_id=record.event_id,
        about=record.about,
        scope=told.scope,
        group=told.group,
        tags=record.tags,
        claimed_monotonic=monotonic,
        start_by=None if guard is None else monotonic + guard,
        grant=None if guard is None else number,
    )


def found_job(queue: str, id: UUID, raw: bytes, hold: bytes | None, asked: bytes | None) -> FoundJob:
    """A live job as it was found."""
    record = read_record(raw)
    head, told = record.head, record.told
    worker, _token, claimed_at = hold.decode().split(" ") if hold is not None else ("", "", "")
    return FoundJob(
        id=id,
        run=head.run,
        queue=queue,
        task=told.task,
        state=State.QUEUED if hold is None else State.ACTIVE,
        message=told.message,
        priority=head.priority,
        ready_at=record.ready_at,
        attempts=head.attempts,
        starts=head.starts,
        lost=head.lost,
        key=record.key,
        expires_at=moment_or_none(head.expires),
        cancel_requested=asked is not None,
        scope=told.scope,
        group=told.group,
        tags=record.tags,
        worker=UUID(worker) if worker else None,
        claimed_at=moment(int(claimed_at)) if claimed_at else None,
    )


def waiting_page(queue: str, answer: Sequence[bytes]) -> WaitingPage:
    """The jobs in what `list_waiting.lua` answers."""
    last, *words = answer
    each = zip(words[::2], words[1::2], strict=True)
    return WaitingPage(tuple(found_job(queue, UUID(bytes=id), raw, None, None) for id, raw in each), last.hex())


def settled_words(worker: str, settlements: Sequence[Settlement]) -> list[str | bytes]:
    """A worker's settlements as `exchange.lua` takes them, of each what is passed on unread as well."""
    told = list(map(_words_of, settlements))
    return [
        *(settlement.job.id.bytes for settlement in settlements),
        *(f"{worker} {settlement.job.token} " for settlement in settlements),
        *(asked for asked, _said in told),
        *(said for _asked, said in told),
    ]


def _words_of(settlement: Settlement) -> tuple[bytes, bytes]:
    """What is asked of a settlement (`lua/parts/settle.lua`), and what the history is told of it."""
    job, outcome = settlement.job, settlement.outcome
    kind, burns = type(outcome), _burns(outcome)
    started = micros(settlement.started_at) if settlement.started_at else None
    ended = micros(settlement.ended_at) if settlement.ended_at else None
    ran = None if started is None else _millis((ended or started) - started)
    waited = None if started is None else _millis(started - micros(job.ready_at))
    state, expires = _ENDS.get(kind, State.QUEUED), job.expires_at is not None
    asked: list[Any] = [job.run, state, int(started is not None), burns, job.key, expires, ran, waited]
    if isinstance(outcome, (Retried, Postponed, HandedBack)):
        delay = None if outcome.delay is None else span(outcome.delay)
        whole_queue = isinstance(outcome, Postponed) and outcome.whole_queue
        asked += (delay, whole_queue, _unknown(outcome, started is not None))
        if isinstance(outcome, Postponed) and outcome.whole_group:
            asked.append(True)
    said = Said(
        kind.__name__,
        burns,
        claim_of(job.token),
        micros(job.claimed_at),
        started,
        ended,
        getattr(outcome, "error", ""),
        getattr(outcome, "traceback", ""),
        getattr(outcome, "reason", ""),
        getattr(outcome, "result", None),
    )
    if isinstance(outcome, Failed) and outcome.release:
        return _write(asked), _write(Heard(**asdict(said), release=outcome.release))
    return _write(asked), _write(said)


def claim_of(token: str) -> int:
    """The number of the claim in a token; 0 in one that no claim gave."""
    number = token.rpartition(".")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 18 else 0


def pushed(job: NewJob, answer: msgspec.Raw) -> Pushed:
    """The answer for a pushed job: true, false or an id, with + or - before it where a rule said so."""
    if len(answer) > len(_ID_MARK) + 16:
        status = PushStatus.MERGED if bytes(answer)[1:2] == b"+" else PushStatus.BEHIND
        return Pushed(job.id, status, UUID(bytes=bytes(answer)[2:]))
    if len(answer) > 1:
        return Pushed(job.id, PushStatus.DUPLICATE, id_of(answer))
    return Pushed(job.id, PushStatus.ACCEPTED if bytes(answer) == _TRUE else PushStatus.KNOWN)


def claimed_jobs(
    queue: str, words: Sequence[bytes], life: str, first: int, at: datetime, monotonic: float, guard: float | None
) -> tuple[ClaimedJob, ...]:
    """The claimed jobs in the words of `exchange.lua`, without those that are not the worker's any more.

    `life` and the number of the `first` make their tokens; `monotonic` is this process's clock at the claim or a little
    before, `guard` that of their grants.
    """
    each = zip(count(first), words[::2], words[1::2], strict=False)
    return tuple(_claimed_job(queue, id, raw, life, number, at, monotonic, guard) for number, id, raw in each if raw)


def comes_back_soon(settlement: Settlement) -> bool:
    """Whether the job is due again so soon that a sleeping worker should hear of it."""
    outcome = settlement.outcome
    if not isinstance(outcome, (Retried, Postponed, HandedBack)):
        return False
    return outcome.delay is None or outcome.delay < HINT_WITHIN


def _unknown(outcome: Retried | Postponed | HandedBack, started: bool) -> str:
    if isinstance(outcome, HandedBack) and outcome.unknown:
        return "note"
    return "clear" if started or isinstance(outcome, Retried) else "keep"


def _millis(duration: int) -> int:
    """Of microseconds."""
    return max(0, round(duration / 1000))


def _burns(outcome: Outcome) -> int:
    return int(isinstance(outcome, (Completed, Retried)) or (isinstance(outcome, Failed) and outcome.attempted))
