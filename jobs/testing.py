"""Jobs in a project's own tests: run them, look at them, without a worker.

In a plain `django.test.TestCase`, whose transaction never commits, and in transactional tests alike:

    class SignUp(TestCase):
        def test_sign_up_welcomes(self):
            sign_up("ada@example.org")
            assert_enqueued(send_welcome)
            run_jobs()
            self.assertEqual(len(mail.outbox), 1)

With pytest: `pytest_plugins = ["jobs.testing"]` in the top `conftest.py`, then the fixture `jobs_runner`.
"""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from os import getpid
from typing import TYPE_CHECKING, Any
from unittest import mock

from django.db import connections, transaction

from . import clock
from .apps import close_own_connections
from .broker import get_broker
from .broker.records import (
    ClaimedJob,
    Completed,
    Failed,
    GivenUp,
    HandedBack,
    NewJob,
    Postponed,
    ProcessRecord,
    Retried,
)
from .conf import jobs_settings
from .define.handle import JobHandle
from .define.options import NO_OPTIONS, Options
from .define.queue import Queue
from .define.task import PreparedTask, Task
from .defined import find_queue, find_task
from .enqueue.accept import Accepted, accept
from .enqueue.outbox import push_pending
from .errors import InvalidOption, Refused
from .history.asked import differences
from .states import State
from .work.announce import announce
from .work.execution import execute

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from .models import Job

#: A task, one that `using` has prepared, or a function of Django's `@task`.
AnyTask = Task | PreparedTask | Any

__all__ = [
    "Drained",
    "JobsRunner",
    "assert_enqueued",
    "assert_nothing_enqueued",
    "close_connections",
    "drain",
    "enqueued",
    "inline",
    "run_jobs",
]

_LEASE = 3_600.0
#: Of the exchanges; each worker of this module lives for one call, and a number is never used twice.
_numbers = count(1)


def run_jobs(
    queue: str | None = None,
    *,
    limit: int = 1_000,
    until: datetime | timedelta | None = None,
    include_scheduled: bool = False,
) -> list[JobHandle]:
    """Run what is due, here and now, and what these jobs enqueue; returns the jobs started, in order.

    Only `queue`, or every queue. Failures are recorded and retried as in a worker; a retry that waits for its backoff,
    and a delayed job, start only with `include_scheduled=True`, or with `until=` (a moment, or a timedelta from now) by
    which they are due: the waiting is left out, the clock is not moved. Rate limits are not kept; a paused queue stays
    paused. Raises AssertionError when more than `limit` jobs start: they probably enqueue each other for ever.
    """
    return [job for job, end in _run_all(queue, limit, _latest(until, include_scheduled)) if end]


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
    queue: str | None = None,
    *,
    limit: int = 1_000,
    until: datetime | timedelta | None = None,
    include_scheduled: bool = False,
) -> Drained:
    """As `run_jobs`, but counts how the starts ended: compare it with `Drained(completed=2, failed=1)`, say."""
    starts = [start for start in _run_all(queue, limit, _latest(until, include_scheduled)) if start[1]]
    counts = Counter(end for _job, end in starts)
    return Drained(**counts, jobs=tuple(job for job, _end in starts))


def _run_all(queue: str | None, limit: int, latest: datetime | None) -> list[tuple[JobHandle, str]]:
    """Run what is due; the jobs, and how each start ended: empty where the function was not called."""
    broker = get_broker()
    worker = ProcessRecord(clock.new_id(), "worker", queue or "", socket.gethostname(), getpid(), 1)
    broker.register(worker, _LEASE)
    started: list[tuple[JobHandle, str]] = []
    try:
        # a start may be handed back (a paced queue on a slow machine, a task that is not known)
        for _claim_number in range(2 * limit + 1):
            _relay()
            found = _claim(worker, _queues(queue)) or (_make_due(queue, latest) and _claim(worker, _queues(queue)))
            if not found:
                return started
            if len(started) >= limit:
                break
            if end := _run(worker, *found):
                started.append((JobHandle(found[0].id), end))
        raise AssertionError(f"{len(started)} jobs were started and more are due; do they enqueue each other for ever?")
    finally:
        broker.release(worker, lost=False)


def enqueued(task: AnyTask | None = None) -> list[JobHandle]:
    """Every job there is, of `task` or of all, in the order in which they were enqueued; whether they ran or not."""
    rows = _rows() if task is None else _rows().filter(task=_meant(task)[0].name)
    return [JobHandle(job_id) for job_id in rows.values_list("pk", flat=True)]


def assert_enqueued(task: AnyTask, *args: Any, times: int | None = None, **kwargs: Any) -> list[JobHandle]:
    """Fail unless `task` was enqueued with these arguments; with none given, with any. Returns the jobs.

    `times` is how often exactly; without it, at least once. With `task.using(key="k", delay=60)`, only jobs count that
    were enqueued with these options; `delay`, `at` and `expires` are looked at as they are before the job runs. Inside
    an `atomic()` what it has enqueued so far counts. `task` may also be a function of Django's `@task`, whose
    `priority` and `run_after` are not compared.
    """
    named, options = _meant(task)
    of_task = list(_rows().filter(task=named.name))
    found = [job for job in of_task if not differences(job, options)]
    if args or kwargs:
        wanted = json.loads(named.signature.encode(args, kwargs))
        found = [job for job in found if [job.args, job.kwargs] == [wanted["args"], wanted["kwargs"]]]
    if (found and times is None) or len(found) == times:
        return [JobHandle(job.pk) for job in found]
    expected = "at least once" if times is None else f"{times} times"
    seen = [f"  {job.task} {_call(job)}{_told(differences(job, options))}" for job in of_task or _rows()[:20]]
    shown = "\n".join(seen) or "  nothing"
    call = f" with {_text(args, kwargs)}" if args or kwargs else ""
    raise AssertionError(
        f"{named.name} was enqueued {len(found)} times{call}, expected {expected}; enqueued were:\n{shown}"
    )


def assert_nothing_enqueued() -> None:
    """Fail if any job was enqueued."""
    seen = "\n".join(f"  {job.task} {_call(job)}" for job in _rows()[:20])
    if seen:
        raise AssertionError(f"expected no job, enqueued were:\n{seen}")


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
        if busy or _in_callers_transaction():
            return
        busy = True
        try:
            run_jobs()
        finally:
            busy = False

    def accept_and_run(jobs: list[NewJob]) -> list[Accepted]:
        accepted = accept(jobs)
        if _in_callers_transaction() and connections[_alias()].in_atomic_block:
            transaction.on_commit(run, using=_alias())
        else:
            run()
        return accepted

    with mock.patch("jobs.define.task.accept", accept_and_run):
        yield
    run()


def close_connections() -> None:
    """Close the connections to databases that the engine holds open itself in this process; it opens them again.

    Django's test runner and pytest-django need no help: the engine makes way when they create, copy or drop a test
    database. This is for tests that drop or copy one in a way of their own.
    """
    close_own_connections()


class JobsRunner:
    """What the pytest fixture `jobs_runner` hands out: the functions of this module."""

    run = staticmethod(run_jobs)
    drain = staticmethod(drain)
    enqueued = staticmethod(enqueued)
    assert_enqueued = staticmethod(assert_enqueued)
    assert_nothing_enqueued = staticmethod(assert_nothing_enqueued)
    inline = staticmethod(inline)


try:
    import pytest
except ImportError:  # plain Django tests need no pytest
    pass
else:

    @pytest.fixture
    def jobs_runner(db: None) -> JobsRunner:
        """Run jobs and look at them; uses the test's database as `db` or `transactional_db` made it."""
        return JobsRunner()


def _run(worker: ProcessRecord, claimed: ClaimedJob, queue: Queue) -> str:
    """Run one claimed job; how that ended, by the names of `Drained`, or empty when its function was not called."""
    with _block_of_its_own():
        settlement = execute(claimed, queue, worker.id)
    if settlement is None:
        return "completed"
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


def _claim(worker: ProcessRecord, queues: list[Queue]) -> tuple[ClaimedJob, Queue] | None:
    for queue in queues:
        policy = replace(queue.policy, rate_limit=None, global_concurrency=None)
        for alone in (False, True):
            jobs = get_broker().exchange(worker.id, policy, [], 1, number=next(_numbers), alone=alone).jobs
            if jobs:
                return jobs[0], queue
    return None


def _relay() -> None:
    pending = list(_rows().filter(state=State.PENDING).values_list("pk", flat=True))
    if pending:
        push_pending(pending)


def _make_due(queue: str | None, latest: datetime | None) -> bool:
    """Make the job that is due next, by `latest`, due now."""
    if latest is None:
        return False
    for job in _later(queue, latest):
        counts = get_broker().counts(job.queue)
        if counts.paused:
            continue
        if counts.blocked_until is not None:
            get_broker().resume(job.queue)
        if get_broker().promote(job.queue, job.pk):
            return True
    return False


def _later(queue: str | None, latest: datetime) -> list[Job]:
    """The jobs that are due later, but by `latest`, in that order."""
    from .history import live

    with suppress(Refused):  # in a test's transaction: what Redis tells is not heard there
        live.hear_all()
    now = clock.now()
    rows = _rows().filter(state__in=[State.QUEUED, State.ACTIVE])
    if queue is not None:
        rows = rows.filter(queue=queue)
    if get_broker().rows_are_the_queue:
        rows = rows.filter(state=State.QUEUED, ready_at__gt=now, ready_at__lte=latest)
    later = [job for job in live.as_they_live(rows) if job.state == State.QUEUED and now < job.ready_at <= latest]
    return sorted(later, key=lambda job: (job.ready_at, job.pk))


def _latest(until: datetime | timedelta | None, include_scheduled: bool) -> datetime | None:
    if isinstance(until, timedelta):
        return clock.now() + until
    if until is not None and until.tzinfo is None:
        raise InvalidOption(f"until={until!r}: expected an aware datetime (with a time zone) or a timedelta")
    return clock.now() + timedelta(days=3_650) if include_scheduled and until is None else until


def _queues(name: str | None) -> list[Queue]:
    names = [name] if name is not None else sorted(set(_rows().order_by().values_list("queue", flat=True)))
    return [find_queue(each) for each in names]


def _rows() -> QuerySet[Job]:
    from .models import Job

    return Job.objects.using(_alias()).order_by("pk")


def _alias() -> str:
    return jobs_settings().database


def _in_callers_transaction() -> bool:
    # Django marks the transactions that TestCase opens around a test
    return any(not getattr(block, "_from_testcase", False) for block in connections[_alias()].atomic_blocks)


def _meant(task: AnyTask) -> tuple[Task, Options]:
    """The engine's task, and the options that `using` gave it."""
    if isinstance(task, Task):
        return task, NO_OPTIONS
    if isinstance(task, PreparedTask):
        return task.task, task.options
    # a task of Django's
    return find_task(task.module_path), getattr(task, "options", NO_OPTIONS)


def _told(differences: list[str]) -> str:
    return f" with {', '.join(differences)}" if differences else ""


def _call(job: Job) -> str:
    return _text(job.args, job.kwargs)


def _text(args: Any, kwargs: dict[str, Any]) -> str:
    return f"({', '.join([*map(repr, args), *(f'{name}={value!r}' for name, value in kwargs.items())])})"
