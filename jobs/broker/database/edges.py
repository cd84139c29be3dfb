"""Which jobs wait for which: what the end of one decides for those that wait for it.

The rows of ended jobs say by `awaited` whether somebody is still to be told, so nothing depends on who tells: whoever
ends a job decides at once, and the keeper's look finds what a kill has left. A decision is one transaction. It locks
the ended jobs, then those that wait, in the order of their ids: so each is decided once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from ... import reasons
from ...connections import opened_by_caller
from ...faults import point
from ...states import State
from . import sequences
from .connection import Trip
from .rows import Cursor, block
from .statements import load_statements
from .values import MAX_REASON, id_of, text_of

#: Decisions of one step: what is left, whoever comes next does.
ROUNDS = 10
#: The rule of a job that runs only where the one it waits for fails itself, not for want of another.
ONLY_IF_FAILED = "failed"
_TEXTS = {
    State.FAILED.value: reasons.WAITED_FAILED,
    State.CANCELLED.value: reasons.WAITED_CANCELLED,
    State.EXPIRED.value: reasons.WAITED_EXPIRED,
}


def _pattern(text: str, name: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(re.escape(f"%({name})s"), "([0-9a-f-]{36})"))


_GAVE_WAY = [_pattern(text, "holder") for text in (reasons.DUPLICATE, reasons.MERGED)]
_WAITED = [_pattern(text, "job") for text in _TEXTS.values()]


@dataclass(slots=True)
class Decided:
    """How many ended jobs were told of; which jobs are `pending` now, and the queues of those that are `queued`.

    `batches`: in which a job has ended; whether that was the last one is seen once this is committed.
    """

    ended: int = 0
    pending: list[UUID] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    batches: set[UUID] = field(default_factory=set)


def trip_on(connection: BaseDatabaseWrapper, cursor: Cursor) -> Trip:
    """A trip on Django's connection."""
    if connection.vendor == "postgresql":
        from .postgresql.connection import PostgresqlTrip  # its driver need not be installed elsewhere

        return PostgresqlTrip(cursor)
    return Trip(cursor, connection.vendor)


@contextmanager
def own_trip(connection: BaseDatabaseWrapper) -> Iterator[Trip]:
    """A trip on Django's connection, in a transaction, or in a part of the caller's; what it counts is written."""
    with block(connection), connection.cursor() as cursor:
        trip = trip_on(connection, cursor)
        yield trip
        trip.write_counts()


def decide_now(
    connection: BaseDatabaseWrapper, *, straight: bool, ids: Collection[UUID] | None = None, rounds: int = ROUNDS
) -> Decided:
    """Decide on Django's connection, a transaction each round; `ids`: see `decide`."""
    sums = Decided()
    for _round in range(rounds):
        # who is next in a sequence is never decided in a transaction of people's: all its jobs would wait for that
        briefly = connection.vendor != "postgresql" or not opened_by_caller(connection)
        with own_trip(connection) as trip:
            done = decide(trip, straight=straight, ids=ids, ordered=briefly)
        end_batches_now(connection, done.batches, done, straight=straight)
        sums.ended += done.ended
        sums.pending += done.pending
        sums.queued += done.queued
        if not done.ended:
            break
    return sums


def end_batches_now(
    connection: BaseDatabaseWrapper, batches: Collection[UUID], done: Decided, *, straight: bool
) -> None:
    """End those of the batches that are over, on Django's connection, in a transaction; see `end_batches`."""
    if batches:
        with own_trip(connection) as trip:
            end_batches(trip, batches, done, straight=straight)


def read_unended_batches(connection: BaseDatabaseWrapper) -> list[UUID]:
    """Batches all of whose jobs have ended, and that have not: what a kill has left; 100 at most."""
    with connection.cursor() as cursor:
        return [id_of(id) for (id,) in trip_on(connection, cursor).run("read_unended_batches")]


def decide_all(trip: Trip) -> None:
    """Decide within a transaction that has ended jobs, where the rows are the queue and nobody else can write."""
    for _round in range(ROUNDS):
        done = decide(trip, straight=True)
        end_batches(trip, done.batches, done, straight=True)
        if not done.ended:
            break


def decide(trip: Trip, *, straight: bool, ids: Collection[UUID] | None = None, ordered: bool = True) -> Decided:
    """Tell those that wait how jobs have ended, 500 at most, and let them run, fail or be cancelled.

    `straight`: the rows are the queue. `ids`: only these ended jobs. `ordered`: also let the next of their sequences
    go; else they are to be told again.
    """
    ended = trip.run("read_ended_awaited", ids=None if ids is None else _json(ids))
    if not ended:
        return Decided()
    over = [id_of(id) for id, *_rest in ended]
    # before any waiting job is locked, as where jobs get their places
    named = {(queue, sequence) for *_rest, queue, sequence in ended if sequence}
    turn = sequences.next_ones(trip, named) if ordered else sequences.Turn(held_up=named)
    told = [id_of(id) for id, _state, _reason, *name in ended if tuple(name) not in turn.held_up]
    done = Decided(len(told))
    waiting = trip.run("read_waiting_jobs", ids=_json(over))
    done.batches |= _follow_duplicates(trip, ended)
    done.batches |= {id_of(id) for (id,) in trip.run("close_members", ids=_json(over))}
    trip.run("close_edges", ids=_json(over))
    trip.run("note_awaited", ids=_json(told), awaited=False)
    release(trip, [*(id_of(id) for (id,) in waiting), *turn.next], done, straight=straight)
    point("unblock.before_commit")
    return done


def release(trip: Trip, waiting: Collection[UUID], done: Decided, *, straight: bool) -> None:
    """Let those of these blocked jobs run, fail or be cancelled of which that is decided by now."""
    blocked = _json(waiting)
    _end_failed(trip, blocked)
    for id, queue, state in trip.run("start_blocked", ids=blocked, straight=straight, now=trip.text_now):
        if state == State.QUEUED:
            done.queued.append(queue)
            trip.told.add(queue)
        else:
            done.pending.append(id_of(id))


def note_awaited(cursor: Cursor, vendor: str, ids: Iterable[UUID]) -> None:
    """Note of jobs that others wait for them."""
    cursor.execute(load_statements(vendor)["note_awaited"], {"ids": _json(ids), "awaited": True})


def _follow_duplicates(trip: Trip, ended: Iterable[Any]) -> set[UUID]:
    """Who waits for a job that gave way to the one with its key waits for that, where it has a row.

    Returns the batches that have fewer jobs now.
    """
    fewer: set[UUID] = set()
    for id, state, reason, *_name in ended:
        found = [match for text in _GAVE_WAY if (match := text.fullmatch(reason))]
        if state != State.CANCELLED or not found:
            continue
        holder = UUID(found[0][1])
        if trip.run("note_awaited", ids=_json([holder]), awaited=True):
            fewer |= _move(trip, id_of(id), holder)
    return fewer


def move(connection: BaseDatabaseWrapper, id: UUID, holder: UUID) -> None:
    """Let those that wait for a job wait for another one, which is held; in a transaction."""
    with connection.cursor() as cursor:
        _move(trip_on(connection, cursor), id, holder)


def _move(trip: Trip, id: UUID, holder: UUID) -> set[UUID]:
    """The same; returns the batches that have fewer jobs now, as the other one is in them already."""
    trip.change("move_edges", id=id.hex, holder=holder.hex)
    trip.change("move_members", id=id.hex, holder=holder.hex)
    return {id_of(batch) for (batch,) in trip.run("drop_members", id=id.hex)}


def end_batches(trip: Trip, batches: Collection[UUID], done: Decided, *, straight: bool) -> None:
    """End those of these batches all of whose jobs have, once each, and let the jobs go that follow it.

    Of two who end the last two jobs at once none may see what the other does: so it is asked once the ends are
    committed. Then whoever is later sees all; the lock lets one of them do it.
    """
    if not batches:
        return
    over = [id_of(id) for id, _has_ended in trip.run("read_over_batches", ids=_json(batches))]
    if not over:
        return
    trip.run("lock_batches", ids=_json(over))
    for id, has_ended in trip.run("read_over_batches", ids=_json(over)):
        _end_batch(trip, id_of(id), done, has_ended=bool(has_ended), straight=straight)


def _end_batch(trip: Trip, id: UUID, done: Decided, *, has_ended: bool, straight: bool) -> None:
    states = {state for (state,) in trip.run("read_states_of_batch", id=id.hex)}
    succeeded = states <= {State.COMPLETED}
    if has_ended and not succeeded:
        return
    trip.run("end_batch", id=id.hex, succeeded=succeeded, now=trip.text_now)
    runs, never = ["success"] if succeeded else ["failure"], ["failure"] if succeeded else []
    if not states <= {State.COMPLETED, State.FAILED}:
        # a dead letter may complete after all, these do not
        never.append("success")
    follow = [(role, id_of(job)) for role, job in trip.run("read_followers", id=id.hex)]
    release(trip, [job for role, job in follow if role in ("complete", *runs)], done, straight=straight)
    for role, job in follow:
        if role in never:
            _cancel_blocked(trip, job, reasons.BATCH_FAILED if role == "success" else reasons.BATCH_SUCCEEDED)


def _cancel_blocked(trip: Trip, job: UUID, reason: str) -> bool:
    ended = trip.run("cancel_blocked", id=job.hex, reason=reason[:MAX_REASON], now=trip.text_now)
    for queue, task in ended:
        trip.count(queue, task, State.CANCELLED)
    return bool(ended)


def _end_failed(trip: Trip, blocked: str) -> None:
    seen = set()
    for id, queue, on_failure, awaited, state, error in trip.run("read_failed_waits", ids=blocked):
        if id in seen:
            continue
        seen.add(id)
        follows = on_failure == ONLY_IF_FAILED
        if follows and state == State.FAILED and not any(text.fullmatch(error) for text in _WAITED):
            continue
        text = ((reasons.NO_FAILURE if follows else _TEXTS[state]) % {"job": id_of(awaited)})[:MAX_REASON]
        cancels = follows or on_failure == "cancel"
        for (task,) in trip.run("end_blocked", id=id_of(id).hex, cancels=cancels, text=text, now=trip.text_now):
            trip.count(queue, task, State.CANCELLED if cancels else State.FAILED)


def expire_blocked(connection: BaseDatabaseWrapper) -> int:
    """Let blocked jobs end whose time has passed; returns how many."""
    with own_trip(connection) as trip:
        expired = trip.run("expire_blocked", now=trip.text_now)
        for queue, task in expired:
            trip.count(queue, task, State.EXPIRED)
    return len(expired)


def cancel_blocked(connection: BaseDatabaseWrapper, job_id: UUID, reason: str) -> bool:
    """Cancel a blocked job; False: it is not blocked any more."""
    with own_trip(connection) as trip:
        return _cancel_blocked(trip, job_id, reason)


def block_next_run(connection: BaseDatabaseWrapper, job_id: UUID, message: str | None = None) -> int | None:
    """Make a dead letter blocked again, as its next run with fresh counters; returns the run, None if it is none.

    `message` holds its arguments from now on, if it is given.
    """
    with own_trip(connection) as trip:
        moved = trip.run("block_next_run", id=job_id.hex, message=message, now=trip.text_now)
    return moved[0][0] if moved else None


def end_dropped(cursor: Cursor, vendor: str, run: int, ids: list[str], state: State, at: Any) -> None:
    """Let jobs of which nothing is kept have ended, where others wait for them and have not been told."""
    params = {
        "ids": ids if vendor == "postgresql" else json.dumps(ids),
        "run": run,
        "state": str(state),
        "ended_at": text_of(at),
        "reason": reasons.NOT_KEPT,
    }
    cursor.execute(load_statements(vendor)["end_dropped"], params)


def _json(ids: Iterable[UUID]) -> str:
    return json.dumps([id.hex for id in ids])
