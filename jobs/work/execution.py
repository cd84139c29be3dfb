"""One claimed job: from its message to the outcome that the broker settles. Never raises."""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import CoroutineType
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from .. import reasons
from ..broker import get_broker
from ..broker.records import (
    Answer,
    ClaimedJob,
    Completed,
    Failed,
    HandedBack,
    Outcome,
    Retried,
    Settled,
    Settlement,
)
from ..conf import jobs_settings
from ..define.context import RunningJob, begin_work, end_work
from ..define.queue import Queue
from ..define.task import Task
from ..errors import BrokerAway, LeaseLost
from ..faults import point
from ..tracing import attempted
from . import event_loop
from .announce import announce
from .databases import look_after, look_before, warn_of_long_lock
from .forks import call
from .huey_words import is_seen
from .start import Start, Understood

logger = logging.getLogger("jobs.execution")

#: Takes what an atomic task has settled by itself.
Tell = Callable[[Settlement, Settled], None]
#: Seconds until a job is due again whose COMMIT failed: a full disk is not empty a moment later.
COMMIT_DELAY = 1.0


def execute(claimed: ClaimedJob, queue: Queue, worker_id: UUID, tell: Tell | None = None) -> Settlement | None:
    """Run one job and say how it ended; None when an atomic task has already settled, or had lost its lease.

    The job runs in a copied context, so that language and time zone cannot leak, with the caller's obsolete database
    connections closed before and after. What an atomic task has settled is handed to `tell`, or announced at once.
    """
    callers = look_before()
    execution = _Execution(claimed, queue, worker_id)
    try:
        settlement = contextvars.copy_context().run(execution.run)
    finally:
        look_after(claimed, callers)
    if execution.settled is None:
        return settlement
    if tell is None:
        announce(queue, execution.settled[0], execution.settled[1].state)
    else:
        tell(*execution.settled)
    return None


def broken_off(
    claimed: ClaimedJob, queue: Queue, worker_id: UUID, task: Task, error: Exception, trace: str, began: float
) -> Settlement:
    """How a job ends whose process was killed, or died; `trace` says where it was, `began` is of `clock.monotonic`."""
    execution = Start(claimed, queue, worker_id)
    execution.started_at = claimed.claimed_at + timedelta(seconds=max(0.0, began - claimed.claimed_monotonic))
    outcome = execution.failure(error, task.policy.attempts, task.policy.backoff)
    if isinstance(outcome, (Failed, Retried)) and trace:
        outcome = replace(outcome, traceback=f"{trace}\n{outcome.traceback}")
    task.ended(outcome, error)
    return execution.settlement(outcome)


class _NotNow(Exception):
    """An atomic task does not start, or cannot commit, for no fault of its own."""

    def __init__(self, outcome: HandedBack | Completed) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Execution(Start):
    """The course of one start."""

    __slots__ = ("settled",)

    def __init__(self, claimed: ClaimedJob, queue: Queue, worker_id: UUID) -> None:
        super().__init__(claimed, queue, worker_id)
        self.settled: tuple[Settlement, Settled] | None = None  # what an atomic task has settled itself

    def run(self) -> Settlement | None:
        try:
            return attempted(self.claimed, self._run)
        except BaseException as error:  # the engine's own mistake must not take the worker's thread along
            self.log_error("execution_broke", error)
            return self.settlement(self.failure(error, self.queue.policy.attempts, self.queue.policy.backoff))

    def _run(self) -> Settlement | None:
        found = self.understand()
        if not isinstance(found, Understood):
            return self.settlement(found)
        task, args, kwargs = found
        if not is_seen(self.queue, task):
            return self._start(task, partial(task.func, *args, **kwargs))
        huey_task = task.task_class(args, kwargs, id=str(self.claimed.id), timeout=task.policy.timeout)
        if (refused := self.meet_hooks(huey_task)) is not None:
            return self.settlement(refused)
        try:
            return self._start(task, huey_task.execute, huey_task)
        finally:
            self.queue._tasks_in_flight.discard(huey_task)

    def _start(self, task: Task, function: Callable[[], Any], huey_task: Any = None) -> Settlement | None:
        deadline = None
        if task.policy.timeout:
            deadline = time.monotonic() + task.policy.timeout
            if huey_task is not None:
                huey_task._deadline = deadline
        value, failure = None, None
        job = RunningJob(self.claimed, self.still_mine, deadline, self.make_desk)
        job.sealed = bool(task.encrypted)
        begin_work(job)
        try:
            point("execute.before")
            if task.atomic:
                return self._run_atomic(task, function, huey_task)
            if self.too_late_for_its_pace():
                return self.settlement(HandedBack(reasons.PACE))
            self.started_at = self.now()
            value = call(function)
            if type(value) is CoroutineType:
                value = event_loop.run(value, job.time_remaining)
            job.check_left()
            point("execute.after")
            outcome: Outcome = Completed(self.result(task, value))
        except BaseException as error:  # SystemExit of a task is its failure, not the worker's end
            value, failure = None, (error := job.stopped or error)
            outcome = self.failure(error, task.policy.attempts, task.policy.backoff)
            self._keep_cursors(job)
        finally:
            end_work(self.claimed.id)
            if job.has_desk:
                self.end_desk(job)
        task.ended(outcome, failure)
        if huey_task is not None:
            self.queue._run_post_execute(huey_task, value, failure)
        return self.settlement(outcome)

    def _run_atomic(self, task: Task, function: Callable[[], Any], huey_task: Any) -> Settlement | None:
        """Processor, the jobs it enqueues and how it ended in one transaction (G3)."""
        alias = jobs_settings().database
        broker, policy = get_broker(), self.queue.policy
        began, step = time.monotonic(), "begin"
        try:
            with transaction.atomic(using=alias):
                if (done := broker.begin_atomic(self.worker_id, policy, self.claimed)) is not None:
                    self.started_at = self.now()
                    raise _NotNow(done)
                point("atomic.after_begin")
                # behind BEGIN, which waits for SQLite's write lock
                if self.too_late_for_its_pace():
                    raise _NotNow(HandedBack(reasons.PACE))
                self.started_at, step = self.now(), "task"
                value = call(function)
                point("atomic.before_settle")
                settlement = self.settlement(Completed(self.result(task, value)))
                step = "settle"
                settled = broker.settle_in_transaction(self.worker_id, policy, settlement)
                if settled.answer is Answer.BUSY:
                    raise _NotNow(HandedBack(reasons.ROW_LOCKED, delay=COMMIT_DELAY))
                if not settled.counted:
                    raise LeaseLost(f"job {self.claimed.id} is no longer this worker's")
                step = "commit"
                point("atomic.before_commit")
            point("atomic.after_commit")
        except _NotNow as error:
            return self.settlement(error.outcome)
        except LeaseLost:
            if not self._has_ended():  # the task has deleted its own row, and that is rolled back now
                raise
            logger.warning("lease_lost id=%s task=%s: rolled back", self.claimed.id, task.name)
            return None
        except (OperationalError, InterfaceError, BrokerAway) as error:
            if step == "begin":
                return self.settlement(self.no_connection(error))
            if step == "task":
                raise
            if step == "settle" or not self._has_committed():
                # a COMMIT that raises is unknown, not failed; should it have worked after all, the next start sees it
                text = reasons.COMMIT_FAILED % {"error": self.line(error)}
                return self.settlement(HandedBack(text, delay=COMMIT_DELAY))
            self.log_error("after_commit_failed", error)
        except Exception as error:
            # only a hook of on_commit() raises this late: the job has ended
            if not (step == "commit" and self._has_committed()):
                raise
            self.log_error("after_commit_failed", error)
        warn_of_long_lock(self.claimed, time.monotonic() - began, alias)
        task.ended(settlement.outcome, None)
        if huey_task is not None:
            self.queue._run_post_execute(huey_task, value, None)
        if not broker.after_atomic(self.worker_id, policy, settlement):
            return settlement
        self.settled = settlement, settled
        return None

    def _keep_cursors(self, job: RunningJob) -> None:
        try:
            job.keep_cursors()
        except BaseException as error:  # then some items come once more
            self.log_error("cursor_not_kept", error)

    def _has_ended(self) -> bool:
        """Whether the job is surely not this worker's any more."""
        try:
            return not self.still_mine()
        except BrokerAway:
            return False

    def _has_committed(self) -> bool:
        """Whether the transaction of an atomic task surely did, whose COMMIT raised, or something behind it."""
        try:
            return get_broker().has_committed(self.claimed)
        except BrokerAway:
            return False
