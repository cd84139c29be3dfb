"""The outbox: rows in state `pending`, accepted in SQL and not yet with the broker (G1)."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import clock, reasons
from ..broker import get_broker
from ..broker.database import edges, pending, rows
from ..broker.records import KeyMode, NewJob, Pushed, PushStatus
from ..conf import jobs_settings
from ..errors import BrokerAway, PushedTooLate, QueueBroken, UnknownJob
from ..faults import point
from ..states import State
from . import held_keys
from .hold import hold

#: Jobs per trip to the broker (DESIGN §9).
MOST_A_CALL = 1_000
#: The relay leaves rows of this age, in seconds, to the `on_commit` of their own transaction.
RELAY_AFTER = 1.0
#: Seconds for which jobs go straight to the outbox after the broker did not answer (G1), and then while one asks again.
STRAIGHT, ASKS = 5.0, 1.5

_away_until = 0.0
_lock = threading.Lock()


def push_pending(ids: Sequence[UUID] | None = None, longest: float = math.inf) -> int:
    """Give rows in state `pending` to the broker; returns how many it took.

    With `ids`: those rows, where they are still pending. Without: the relay's work, all rows older than a second.
    After `longest` seconds it begins nothing more, whatever is left. A queue that the broker cannot use keeps its rows.
    """
    connection, broker = connections[jobs_settings().database], get_broker()
    until = clock.monotonic() + longest
    taken = 0
    broken: set[str] = set()
    answered: set[UUID] = set()  # and pending still: they wait behind others, or for the history
    while True:
        # before they are read: what has ended since then, the broker still knows
        as_of = None if broker.rows_are_the_queue else _time_of_the_broker()
        waiting = pending.read_pending(
            connection, ids, RELAY_AFTER if ids is None else 0.0, MOST_A_CALL, broken, answered
        )
        if not waiting:
            return taken
        if ids is None:
            point("relay.before")
        moved = 0
        try:
            for job, answer in push_each_queue(waiting, as_of):
                if answer.status is PushStatus.ACCEPTED:
                    taken += 1
                    moved += 1
                elif answer.status is PushStatus.DUPLICATE:
                    if clock.monotonic() < until:
                        moved += _refuse_pending(connection, job, answer)
                else:
                    if answer.status is PushStatus.MERGED:
                        _wait_for_holder(connection, job, answer)
                    answered.add(job.id)
                    moved += 1
        except QueueBroken as error:
            broken.add(error.queue)
            moved += 1
        if len(waiting) < MOST_A_CALL or not moved or clock.monotonic() >= until:
            return taken


def push_each_queue(jobs: Sequence[NewJob], as_of: datetime | None = None) -> Iterator[tuple[NewJob, Pushed]]:
    """Push the jobs, one call a queue; yields each with its answer. `as_of`: see `Broker.push`.

    Raises `QueueBroken` at a queue that the broker cannot use; what is behind it is not pushed then.
    """
    broker = get_broker()
    by_queue: dict[str, list[NewJob]] = {}
    for job in jobs:
        by_queue.setdefault(job.queue, []).append(job)
    for queue, every in by_queue.items():
        held = held_keys.holders(broker, queue, every)
        if held:
            yield from ((job, _held_elsewhere(job, held[job.key])) for job in every if job.key in held)
        of_queue = [job for job in every if job.key not in held] if held else every
        if not of_queue:
            continue
        if as_of is not None:
            pending.note_elsewhere(connections[jobs_settings().database], queue, broker.store)
        try:
            answered = list(zip(of_queue, broker.push(queue, of_queue, as_of).answers, strict=True))
        except (PushedTooLate, QueueBroken):
            raise
        except BrokerAway:
            note_away()
            raise
        note_here()
        if as_of is not None:
            _note_queued(answered)
        yield from answered


def _held_elsewhere(job: NewJob, holder: UUID) -> Pushed:
    if job.rule is None or job.rule.mode is KeyMode.THROTTLE:
        return Pushed(job.id, PushStatus.DUPLICATE, holder)
    # not taken in: it is put, or left, in the outbox until the key is free
    return Pushed(job.id, PushStatus.BEHIND)


def note_away() -> None:
    """For the next seconds this process does not ask a broker outside the database that did not answer."""
    global _away_until
    if not get_broker().rows_are_the_queue:
        _away_until = clock.monotonic() + STRAIGHT


def is_away() -> bool:
    """Whether the broker did not answer a moment ago; when that is over one thread asks, the others hear so still."""
    global _away_until
    with _lock:
        if clock.monotonic() < _away_until:
            return True
        if _away_until:
            _away_until = clock.monotonic() + ASKS
        return False


def note_here() -> None:
    """The broker has answered."""
    global _away_until
    _away_until = 0.0


def _time_of_the_broker() -> datetime:
    try:
        now = get_broker().now()
    except BrokerAway:
        note_away()
        raise
    note_here()
    return now


def put(jobs: Sequence[NewJob]) -> None:
    """Write jobs that the broker may not have got into the outbox; those with a row already are left as they are."""
    connection = connections[jobs_settings().database]
    try:
        rows.insert_rows(connection, jobs, State.PENDING)
    except IntegrityError:
        # the broker got some after all, and the history has heard of it
        for job in jobs:
            with suppress(IntegrityError):
                rows.insert_rows(connection, [job], State.PENDING)


def _note_queued(answered: Sequence[tuple[NewJob, Pushed]]) -> None:
    with_it = [job for job, answer in answered if answer.status in (PushStatus.ACCEPTED, PushStatus.KNOWN)]
    # two rows of one key, of which one has ended and the history has not heard of it: it will, and then notes both
    with suppress(IntegrityError):
        pending.note_queued(connections[jobs_settings().database], with_it)


def _refuse_pending(connection: BaseDatabaseWrapper, job: NewJob, answer: Pushed) -> int:
    if job.run > 1:
        text = reasons.RETRY_REFUSED % {"holder": answer.holder}
        return int(pending.end_pending(connection, job.id, job.run, State.FAILED, text))
    text = reasons.DUPLICATE % {"holder": answer.holder}
    _wait_for_holder(connection, job, answer)
    return int(pending.end_pending(connection, job.id, job.run, State.CANCELLED, text))


def _wait_for_holder(connection: BaseDatabaseWrapper, job: NewJob, answer: Pushed) -> None:
    """Who waits for a job that gives way to the holder of its key waits for that one: see `edges.decide`."""
    if job.awaited and answer.holder is not None:
        with suppress(UnknownJob), rows.block(connection):
            hold(connection, [answer.holder])
            # at once: where nothing of such an end is kept, no reason says later who holds the key
            edges.move(connection, job.id, answer.holder)
