"""Run jobs in a test, as a worker would, with the clock as it is or as `fake_time` moves it."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from os import getpid
from typing import TYPE_CHECKING, Any
from unittest import mock

from django.db import connections, transaction

from .. import clock
from ..broker import get_broker
from ..broker.database.values import tags_of
from ..broker.records import (
    Completed,
    Failed,
    GivenUp,
    HandedBack,
    Postponed,
    ProcessRecord,
    QueueCounts,
    Retried,
    Settlement,
)
from ..conf import jobs_settings
from ..connections import opened_by_caller
from ..define.handle import JobHandle
from ..define.queue import Queue
from ..defined import find_queue
from ..enqueue.accept import accept
from ..enqueue.flow import accept_flow
from ..enqueue.outbox import push_pending
from ..enqueue.own_ids import accept_once
from ..errors import Refused
from ..policy import Bulk
from ..states import State
from ..work.announce import announce
from ..work.bulk import execute_bulk
from ..work.calls import Call, calls_of, jobs_of
from ..work.execution import execute
from .enqueued import job_rows
from .moved_clock import Clock, checked_moment, fire_ticks, moved_clock, next_tick

if TYPE_CHECKING:
    from ..models import Job

#: Ten years: longer than anybody moves a clock.
_LEASE = 3_650 * 86_400.0
#: Of the exchanges; each worker of this module lives for one call, and a number is never used twice.
_numbers = count(1)


def run_jobs(
    queue: Queue | str | None = None,
    *,
    limit: int = 1_000,
    until: datetime | timedelta | None = None,
    include_scheduled: bool = False,
) -> list[JobHandle]:
    """Run what is due, here and now, and what these jobs enqueue; returns the jobs started, in order.

    Only `queue`, or every queue. Failures are recorded and retried as in a worker; a retry that waits for its backoff,
    and a delayed job, start only with `include_scheduled=True`, or with `until=` (a moment, or a timedelta from now) by
    which they are due: the waiting is left out, the clock is not moved. Inside `fake_time` it is: from one job or tick
    of a schedule that comes due to the next, and to `until` at the end. Rate limits are not kept, and a call in bulk
    waits for no more jobs; a paused queue stays paused. Raises AssertionError when more than `limit` jobs start: they
    probably enqueue each other for ever.
    """
    return [job for job, end in _run_all(queue, limit, until, include_scheduled) if end]


@dataclass(frozen=True)
class Drained:
    """How often jobs ended which way, of those that `drain` started; `jobs` are these, in order.

    `failed` counts dead letters, `retried` failures that another attempt followed or follows, `postponed` those that
    ended in `RetryLater`, `cancelled` those that agreed to stop, `handed_back` those that a worker would have returned.
    """

    completed: int = 0
    failed: int = 0
    retried: int = 0
    postponed: int = 0
    cancelled: int = 0
    handed_back: int = 0
    jobs: tuple[JobHandle, ...] = field(default=(), compare=False)


def drain(
    queue: Queue | str | None = None,
    *,
    limit: int = 1_000,
    until: datetime | timedelta | None = None,
    include_scheduled: bool = False,
) -> Drained:
    """As `run_jobs`, but counts how the starts ended: compare it with `Drained(completed=2, failed=1)`, say."""
    starts = [start for start in _run_all(queue, limit, until, include_scheduled) if start[1]]
    counts = Counter(end for _job, end in starts)
    return Drained(**counts, jobs=tuple(job for job, _end in starts))


def _run_all(
    of: Queue | str | None, limit: int, until: datetime | timedelta | None, include_scheduled: bool
) -> list[tuple[JobHandle, str]]:
    """Run what is due; the jobs, and how each start ended: empty where the function was not called."""
    queue = of.name if isinstance(of, Queue) else of
    moved, latest, workers = moved_clock(), _latest(until, include_scheduled), _Workers()
    started: list[tuple[JobHandle, str]] = []
    claims = 0
    try:
        # a start may be handed back (a paced queue on a slow machine, a task that is not known)
        while claims <= 2 * limit:
            _relay()
            as_of = get_broker().now()
            found = _claim(workers, _queues(queue))
            if not found:
                ends = until is not None
                if _go_on(moved, queue, as_of, latest, ends) if moved is not None else _make_due(queue, latest):
                    continue
                return started
            claims += 1
            if len(started) >= limit:
                break
            told = _run(workers.of(found[1]), *found)
            started += [(JobHandle(job.id), end) for job, end in zip(jobs_of(found[0]), told, strict=True) if end]
        raise AssertionError(f"{len(started)} jobs were started and more are due; do they enqueue each other for ever?")
    finally:
        workers.release()


class _Workers:
    """A worker of each queue that is met: a store may keep each queue with its workers elsewhere."""

    def __init__(self) -> None:
        self._records: dict[str, ProcessRecord] = {}

    def of(self, queue: Queue) -> ProcessRecord:
        """The queue's worker."""
        if queue.name not in self._records:
            record = ProcessRecord(clock.new_id(), "worker", queue.name, socket.gethostname(), getpid(), 1)
            get_broker().register(record, _LEASE)
            self._records[queue.name] = record
        return self._records[queue.name]

    def release(self) -> None:
        """Let nothing of them stay behind."""
        for record in self._records.values():
            get_broker().release(record, lost=False)


@contextmanager
def inline() -> Iterator[None]:
    """Run each job as soon as it is accepted: before `enqueue` returns, or after the commit of an open transaction.

    Also a decorator. In a `TestCase` no transaction of the test's own code commits for good: what was enqueued in an
    `atomic()` there runs with the next job, or when `inline` ends. Delayed jobs are left to `run_jobs`. Everything that
    is due runs, also what was enqueued before.
    """
    busy = False

    def run() -> None:
        nonlocal busy
        # a job that enqueues another: the loop that runs it finds the other one too
        if busy or opened_by_caller(connections[_alias()]):
            return
        busy = True
        try:
            run_jobs()
        finally:
            busy = False

    def accept_and_run(take: Callable[[Any], Any], jobs: Any) -> Any:
        accepted = take(jobs)
        if opened_by_caller(connections[_alias()]) and connections[_alias()].in_atomic_block:
            transaction.on_commit(run, using=_alias())
        else:
            run()
        return accepted

    places: dict[str, Callable[[Any], Any]] = {
        "task.accept": accept,
        "task.accept_once": accept_once,
        "flow.accept": accept,
        "flow.accept_flow": accept_flow,
    }
    with ExitStack() as patches:
        for name, take in places.items():
            patches.enter_context(mock.patch(f"jobs.define.{name}", partial(accept_and_run, take)))
        yield
    run()


def _run(worker: ProcessRecord, call: Call, queue: Queue) -> list[str]:
    """Run what one call takes; how each job ended, by the names of `Drained`, or empty: its function was not called."""
    with _block_of_its_own():
        if isinstance(call, tuple):
            return [_settle(worker, queue, settlement) for settlement in execute_bulk(call, queue, worker.id)]
        settlement = execute(call, queue, worker.id)
    return ["completed" if settlement is None else _settle(worker, queue, settlement)]


def _settle(worker: ProcessRecord, queue: Queue, settlement: Settlement) -> str:
    number = next(_numbers)
    settled = get_broker().exchange(worker.id, queue.policy, [settlement], 0, number=number).settled[0]
    if settled.counted:
        announce(queue, settlement, settled.state)
    if settlement.started_at is None:
        return ""
    return "cancelled" if settled.state is State.CANCELLED else _ENDS[type(settlement.outcome)]


_ENDS: dict[type, str] = {
    Completed: "completed",
    Failed: "failed",
    Retried: "retried",
    Postponed: "postponed",
    GivenUp: "cancelled",
    HandedBack: "handed_back",
}


@contextmanager
def _block_of_its_own() -> Iterator[None]:
    """In a test's transaction: a savepoint, so that a job's database error breaks nothing but the job.

    A worker has no transaction around a job, and there such an error undoes only its own statement; here it undoes all
    that the job wrote.
    """
    if not connections[_alias()].in_atomic_block:
        yield
        return
    block = transaction.atomic(using=_alias())
    # for Django and for `accept` it is part of the test, not of the code under test
    block._from_testcase = True  # type: ignore[attr-defined]
    with block:
        yield


def _claim(workers: _Workers, queues: list[Queue]) -> tuple[Call, Queue] | None:
    for queue in queues:
        call = _claim_of(workers, queue)
        if call is None:
            # a claim that ends what came too late may leave what stands behind it to the next one
            get_broker().reap([queue.name])
            call = _claim_of(workers, queue)
        if call is not None:
            return call, queue
    return None


def _claim_of(workers: _Workers, queue: Queue) -> Call | None:
    worker = workers.of(queue)
    bulks = {task: Bulk(bulk.most) for task, bulk in queue.policy.bulks.items()}
    groups = replace(queue.policy.groups, concurrency=None, rate_limit=None)
    policy = replace(queue.policy, rate_limit=None, global_concurrency=None, groups=groups, limits={}, bulks=bulks)
    for alone in (False, True):
        jobs = get_broker().exchange(worker.id, policy, [], 1, number=next(_numbers), alone=alone).jobs
        if calls := calls_of(jobs, queue):
            return calls[0]
    return None


def _relay() -> None:
    if job_rows().filter(state=State.BLOCKED).exists():
        from ..keep.unblock import hear_and_unblock  # it imports the models

        hear_and_unblock()
    pending = list(job_rows().filter(state=State.PENDING).values_list("pk", flat=True))
    if pending:
        push_pending(pending)


def _make_due(queue: str | None, latest: datetime | None) -> bool:
    """Make the job that is due next, by `latest`, due now."""
    if latest is None:
        return False
    for job in _later(queue, get_broker().now(), latest):
        counts = get_broker().counts(job.queue)
        if counts.paused or not set(counts.paused_tags).isdisjoint(tags_of(job.tags)):
            continue
        if counts.blocked_until is not None:
            get_broker().resume(job.queue)
        if get_broker().promote(job.queue, job.pk):
            return True
    return False


def _go_on(moved: Clock, queue: str | None, as_of: datetime, latest: datetime | None, to_the_end: bool) -> bool:
    """Fire the ticks that are due, or move the clock to what is due next by `latest`; False: nothing is.

    `as_of`: what was due then has been started. The clock goes on meanwhile, and nothing may fall in between.
    """
    if fire_ticks():
        return True
    if latest is None:
        return False
    due = min((moment for moment in _due_times(queue, as_of, latest) if moment <= latest), default=None)
    end = latest if to_the_end else due
    if end is None:
        return False
    moment = min(due or end, next_tick(queue, as_of) or end, end)
    step = moment - get_broker().now()
    moved.move(max(step, timedelta(0)))
    return step > timedelta(0) or due is not None or moment != latest


def _due_times(queue: str | None, as_of: datetime, latest: datetime) -> Iterator[datetime]:
    """When the jobs that are due later can start."""
    told: dict[str, QueueCounts] = {}
    for job in _later(queue, as_of, latest):
        if job.queue not in told:
            told[job.queue] = get_broker().counts(job.queue)
        counts = told[job.queue]
        if not counts.paused and set(counts.paused_tags).isdisjoint(tags_of(job.tags)):
            yield max(job.ready_at, counts.blocked_until or as_of)


def _later(queue: str | None, as_of: datetime, latest: datetime) -> list[Job]:
    """The jobs that are due later, but by `latest`, in that order."""
    from ..history import live

    with suppress(Refused):  # in a test's transaction: what Redis tells is not heard there
        live.hear_all()
    rows = job_rows().filter(state__in=[State.QUEUED, State.ACTIVE])
    if queue is not None:
        rows = rows.filter(queue=queue)
    if get_broker().rows_are_the_queue:
        rows = rows.filter(state=State.QUEUED, ready_at__gt=as_of, ready_at__lte=latest)
    later = [job for job in live.as_they_live(rows) if job.state == State.QUEUED and as_of < job.ready_at <= latest]
    return sorted(later, key=lambda job: (job.ready_at, job.pk))


def _latest(until: datetime | timedelta | None, include_scheduled: bool) -> datetime | None:
    if isinstance(until, timedelta):
        return clock.now() + until
    if until is not None:
        return checked_moment(until, "until")
    return clock.now() + timedelta(days=3_650) if include_scheduled else None


def _queues(name: str | None) -> list[Queue]:
    if name is not None:
        return [find_queue(name)]
    names = get_broker().queues() | set(job_rows().order_by().values_list("queue", flat=True))
    return [find_queue(each) for each in sorted(names)]


def _alias() -> str:
    return jobs_settings().database
