"""How a job is accepted: written with the caller's data inside a transaction, given to the broker outside one (G1)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from django.db import DatabaseError, DataError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..broker import get_broker
from ..broker.database import rows
from ..broker.records import NewJob, Pushed, PushStatus
from ..conf import jobs_settings
from ..connections import opened_by_caller
from ..define.context import event_here, job_here, receiver_here
from ..errors import BrokerAway, BrokerUnavailable, InvalidArguments, UndeclaredStart, WrongDatabase
from ..faults import point
from ..origin import NOWHERE, Origin, request_id, with_origin
from ..states import State
from ..tracing import sending, traceparent
from . import sequences
from .after_commit import in_transaction, push_after_commit
from .outbox import MOST_A_CALL, is_away, push_each_queue, put
from .room import check_room

logger = logging.getLogger("jobs.accept")


class Accepted(NamedTuple):
    """The id of an accepted job, or of the live job that holds its key.

    `created` is False where the key was held, None while that is decided only after the commit.
    """

    id: UUID
    created: bool | None = True


def accept(jobs: Sequence[NewJob]) -> list[Accepted]:
    """Take jobs in and answer in order; nothing is taken if any is refused here.

    Raises `WrongDatabase` in a transaction on another database, `UndeclaredStart` in a receiver that did not declare
    the task, `BrokerUnavailable` when no store can take the jobs, `InvalidArguments` for letters that it has not, and
    `GroupFull`.
    """
    if not jobs:
        return []
    connection = connections[jobs_settings().database]
    with sending(jobs), or_invalid():
        marked = checked(jobs)
        if in_transaction(connection):
            return write(connection, marked)
        if any(job.sequence for job in marked) or _needs_one_answer(marked):
            with or_unavailable(True), rows.block(connection):
                return write(connection, marked)
        return _push(marked)


@contextmanager
def or_unavailable(alone: bool) -> Iterator[None]:
    """Raise `BrokerUnavailable` if the database fails here; where the transaction is the caller's, what it raised."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if not alone:
            raise
        text = " ".join(str(error).split())
        raise BrokerUnavailable(f"the job database did not answer ({text}); nothing was enqueued") from error


@contextmanager
def or_invalid() -> Iterator[None]:
    """Raise `InvalidArguments` for letters that the jobs' database has not."""
    try:
        yield
    except DataError as error:
        raise InvalidArguments(
            f"the job database cannot hold this ({' '.join(str(error).split())}): its encoding must be UTF-8"
        ) from error


def checked(jobs: Sequence[NewJob]) -> list[NewJob]:
    """The jobs with the event and the job that they come of; raises what `accept` raises of the place of the call."""
    _check_receiver(jobs)
    _refuse_other_transactions(jobs_settings().database)
    return [_mark(job) for job in jobs]


def write(connection: BaseDatabaseWrapper, jobs: Sequence[NewJob]) -> list[Accepted]:
    """Write jobs in the open transaction; what the broker is to be given, it gets after the commit."""
    check_room(connection, jobs)
    straight = get_broker().rows_are_the_queue
    ordered = [job for job in jobs if job.sequence]
    free = [job for job in jobs if not job.sequence] if ordered else jobs
    queued = [job for job in free if straight and job.key is None]
    pending = [job for job in free if not straight or job.key is not None]
    if queued:
        rows.insert_rows(connection, queued, State.QUEUED)
        get_broker().hint_after_commit(queued)
    if pending:
        rows.insert_rows(connection, pending, State.PENDING)
        push_after_commit(connection, [job.id for job in pending])
    if ordered:
        rows.insert_rows(connection, ordered, State.BLOCKED)
        sequences.note(connection, ordered)
    point("enqueue.before_commit")
    return [Accepted(job.id, None if job.key is not None else True) for job in jobs]


def _push(jobs: Sequence[NewJob]) -> list[Accepted]:
    accepted: list[Accepted] = []
    for trip in _trips(jobs):
        answered: dict[UUID, Pushed] = {}
        try:
            if is_away():
                raise BrokerAway("it did not answer a moment ago", undone=True)
            answered.update((job.id, answer) for job, answer in push_each_queue(trip))
        except BrokerAway as error:
            left = [job for job in trip if job.id not in answered]
            if get_broker().rows_are_the_queue:
                raise BrokerUnavailable(_failure(error, len(accepted), jobs)) from error
            try:
                if error.undone:  # else some may wait already, and were not refused
                    check_room(connections[jobs_settings().database], left)
                put(left)
            except (DatabaseError, InterfaceError) as failure:
                text = f"neither the broker ({error}) nor the job database ({' '.join(str(failure).split())}) took them"
                raise BrokerUnavailable(f"{text}; {_failed(error, len(accepted), jobs)}") from failure
        if waits := [job for job in trip if _waits_in_outbox(answered.get(job.id))]:
            put(waits)
        accepted += [_accepted(job, answered.get(job.id)) for job in trip]
    return accepted


def _needs_one_answer(jobs: Sequence[NewJob]) -> bool:
    """Whether a group may be full for some, and no single call to the broker can take all or none."""
    return any(job.group_max is not None for job in jobs) and (
        len(jobs) > MOST_A_CALL or any(job.queue != jobs[0].queue for job in jobs)
    )


def _waits_in_outbox(answer: Pushed | None) -> bool:
    """Whether the key is held by a job of which the broker does not know."""
    return answer is not None and answer.status is PushStatus.BEHIND and answer.holder is None


def _accepted(job: NewJob, answer: Pushed | None) -> Accepted:
    if answer is None:
        # in the outbox: who holds the key is decided when the broker gets it
        return Accepted(job.id, None if job.key is not None else True)
    if answer.status in (PushStatus.DUPLICATE, PushStatus.MERGED) and answer.holder is not None:
        return Accepted(answer.holder, False)
    return Accepted(job.id)


def _failure(error: BrokerAway, accepted: int, jobs: Sequence[NewJob]) -> str:
    return f"the job database did not answer ({error}); {_failed(error, accepted, jobs)}"


def _failed(error: BrokerAway, accepted: int, jobs: Sequence[NewJob]) -> str:
    if not error.undone:
        text = f"it is not known whether job {jobs[accepted].id}"
        text += " was enqueued" if len(jobs) == 1 else f" and those behind it were enqueued, {accepted} before it were"
    elif accepted:
        text = f"{accepted} of {len(jobs)} jobs were enqueued"
    else:
        text = "nothing was enqueued"
    return text


def _trips(jobs: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
    for start in range(0, len(jobs), MOST_A_CALL):
        yield jobs[start : start + MOST_A_CALL]


def _mark(job: NewJob) -> NewJob:
    event, parent, origin = event_here(), job_here(), Origin(request_id(), traceparent())
    if origin != NOWHERE:
        job = replace(job, message=with_origin(job.message, origin))
    if event is None and parent is None:
        return job
    name, event_id = (
        (event.name, event.event_id) if event else (parent.event, parent.event_id) if parent else ("", None)
    )
    return replace(job, event=name, event_id=event_id, parent_id=parent.id if parent else None)


def _check_receiver(jobs: Sequence[NewJob]) -> None:
    receiver = receiver_here()
    if receiver is None:
        return
    undeclared = sorted({job.task for job in jobs} - receiver.starts)
    if not undeclared:
        return
    text = f"{receiver.name} started {', '.join(undeclared)}: add the task to starts=[...] of its @receives"
    if jobs_settings().strict:
        raise UndeclaredStart(text)
    logger.warning("undeclared_start %s", text)


def _refuse_other_transactions(alias: str) -> None:
    if opened_by_caller(connections[alias]):
        return
    for other in connections.all(initialized_only=True):
        if other.alias != alias and opened_by_caller(other):
            raise WrongDatabase(
                f"enqueue was called in a transaction on database {other.alias!r}, but jobs are kept in {alias!r}: "
                f"a rollback there could not take the job back; enqueue after it, or in atomic(using={alias!r})"
            )
