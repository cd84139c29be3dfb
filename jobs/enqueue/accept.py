"""How a job is accepted: written with the caller's data inside a transaction, given to the broker outside one (G1)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import reasons
from ..broker import get_broker
from ..broker.database import rows
from ..broker.records import NewJob, Pushed, PushStatus
from ..conf import jobs_settings
from ..define.context import event_here, job_here, receiver_here
from ..define.handle import JobHandle
from ..errors import BrokerAway, BrokerUnavailable, UndeclaredStart, WrongDatabase
from ..faults import point
from ..states import State

logger = logging.getLogger("jobs.accept")

#: Jobs per trip to the broker (DESIGN §9).
TRIP = 1_000
#: The relay leaves rows of this age, in seconds, to the `on_commit` of their own transaction.
RELAY_AFTER = 1.0


def accept(jobs: Sequence[NewJob]) -> list[JobHandle]:
    """Take jobs in and return their handles in order; nothing is taken if any is refused here.

    Raises `WrongDatabase` in a transaction on another database, `UndeclaredStart` in a receiver that did not declare
    the task, `BrokerUnavailable` when no store can take the jobs.
    """
    if not jobs:
        return []
    _hold_against_receiver(jobs)
    alias = jobs_settings().database
    connection = connections[alias]
    _refuse_other_transactions(alias)
    marked = [_mark(job) for job in jobs]
    if in_transaction(connection):
        return _write(connection, marked)
    return _push(marked)


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether what is written now becomes visible only later: in `atomic()`, or with autocommit off."""
    return connection.in_atomic_block or not connection.get_autocommit()


def push_pending(ids: Sequence[UUID] | None = None) -> int:
    """Give rows in state `pending` to the broker; returns how many it took.

    With `ids`: those rows, where they are still pending. Without: the relay's work, all rows older than a second.
    """
    connection = connections[jobs_settings().database]
    taken = 0
    while True:
        waiting = rows.read_pending(connection, ids, RELAY_AFTER if ids is None else 0.0, TRIP)
        if not waiting:
            return taken
        if ids is None:
            point("relay.before")
        moved = 0
        for job, answer in _push_each_queue(waiting):
            if answer.status is PushStatus.ACCEPTED:
                taken += 1
                moved += 1
            elif answer.status is PushStatus.DUPLICATE:
                moved += _refuse_pending(connection, job, answer)
        if len(waiting) < TRIP or not moved:
            return taken


def _push_each_queue(jobs: Sequence[NewJob]) -> Iterator[tuple[NewJob, Pushed]]:
    """Push the jobs, one call a queue; yields each with its answer."""
    by_queue: dict[str, list[NewJob]] = {}
    for job in jobs:
        by_queue.setdefault(job.queue, []).append(job)
    for queue, of_queue in by_queue.items():
        yield from zip(of_queue, get_broker().push(queue, of_queue).answers, strict=True)


def _refuse_pending(connection: BaseDatabaseWrapper, job: NewJob, answer: Pushed) -> int:
    if job.run > 1:
        text = reasons.RETRY_REFUSED % {"holder": answer.holder}
        return int(rows.end_pending(connection, job.id, job.run, State.FAILED, text))
    text = reasons.DUPLICATE % {"holder": answer.holder}
    return int(rows.end_pending(connection, job.id, job.run, State.CANCELLED, text))


def _write(connection: BaseDatabaseWrapper, jobs: Sequence[NewJob]) -> list[JobHandle]:
    straight = get_broker().rows_are_the_queue
    queued = [job for job in jobs if straight and job.key is None]
    pending = [job for job in jobs if not straight or job.key is not None]
    if queued:
        rows.insert_rows(connection, queued, State.QUEUED)
        get_broker().hint_after_commit(queued)
    if pending:
        rows.insert_rows(connection, pending, State.PENDING)
        # with autocommit off Django knows no commit to hook on to: the keeper's relay takes these
        if connection.in_atomic_block:
            ids = [job.id for job in pending]
            transaction.on_commit(partial(_push_committed, ids), using=connection.alias, robust=True)
    point("enqueue.before_commit")
    return [JobHandle(job.id, None if job.key is not None else True) for job in jobs]


def _push_committed(ids: Sequence[UUID]) -> None:
    point("enqueue.after_commit")
    try:
        push_pending(ids)
    except Exception:
        logger.warning("push_after_commit_failed jobs=%d: the keeper relays them", len(ids), exc_info=True)


def _push(jobs: Sequence[NewJob]) -> list[JobHandle]:
    handles: list[JobHandle] = []
    for trip in _trips(jobs):
        try:
            answered = dict(_push_each_queue(trip))
        except BrokerAway as error:
            raise BrokerUnavailable(
                f"the job database did not take the job ({error}); nothing was enqueued"
                if not handles
                else f"the job database failed after {len(handles)} of {len(jobs)} jobs ({error})"
            ) from error
        for job in trip:
            answer = answered[job]
            duplicate = answer.status is PushStatus.DUPLICATE and answer.holder is not None
            handles.append(JobHandle(answer.holder, False) if duplicate and answer.holder else JobHandle(job.id))
    return handles


def _trips(jobs: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
    for start in range(0, len(jobs), TRIP):
        yield jobs[start : start + TRIP]


def _mark(job: NewJob) -> NewJob:
    event, parent = event_here(), job_here()
    if event is None and parent is None:
        return job
    name, event_id = (
        (event.name, event.event_id) if event else (parent.event, parent.event_id) if parent else ("", None)
    )
    return replace(job, event=name, event_id=event_id, parent_id=parent.id if parent else None)


def _hold_against_receiver(jobs: Sequence[NewJob]) -> None:
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
    if _opened_by_the_caller(connections[alias]):
        return
    for other in connections.all(initialized_only=True):
        if other.alias != alias and _opened_by_the_caller(other):
            raise WrongDatabase(
                f"enqueue was called in a transaction on database {other.alias!r}, but jobs are kept in {alias!r}: "
                f"a rollback there could not take the job back; enqueue after it, or in atomic(using={alias!r})"
            )


def _opened_by_the_caller(connection: BaseDatabaseWrapper) -> bool:
    if connection.connection is None:
        return False
    if not connection.in_atomic_block:
        return not connection.autocommit
    # Django marks the transactions that TestCase opens around a test; they are not the caller's
    return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
