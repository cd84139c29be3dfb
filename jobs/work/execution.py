"""One claimed job: from its message to the outcome that the broker settles. Never raises."""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import CoroutineType
from typing import Any
from uuid import UUID

import msgspec
from django.db import InterfaceError, OperationalError, connections, transaction
from huey import signals as huey_signals
from huey.exceptions import CancelExecution, RetryTask

from .. import clock, reasons
from ..broker import get_broker
from ..broker.records import (
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
from ..conf import jobs_settings
from ..define.awaited import awaited_by
from ..define.context import RunningJob, begin_work, end_work
from ..define.masks import NO_MASK, Mask
from ..define.message import IncompleteMessage, MessageError
from ..define.passed import NothingToTake, complete_message
from ..define.queue import Queue
from ..define.results import encode_result
from ..define.task import Task
from ..errors import BrokerAway, Cancelled, InvalidArguments, LeaseLost, PermanentError, RetryLater, Stopped
from ..faults import point
from ..history.inside import stops_of
from ..policy import GIVE_UP, Backoff, Custom, GiveUp
from ..visible import visible
from . import event_loop
from .announce import announce
from .databases import connect_first, failure_to_connect, look_after, look_before
from .error_texts import line_of, trace_of
from .forks import call
from .huey_words import huey_delay, is_seen
from .reports import JobDesk

logger = logging.getLogger("jobs.execution")

#: Takes what an atomic task has settled by itself.
Tell = Callable[[Settlement, Settled], None]
#: Starts of one run after which a job that did not end by itself is a dead letter (DESIGN G12).
MAX_STARTS = 100
#: Seconds until a job that no code here understands is due again (DESIGN G11).
UNKNOWN_DELAY = 5.0
#: Seconds until a job is due again whose COMMIT failed: a full disk is not empty a moment later.
COMMIT_DELAY = 1.0
#: Margin of the pace guard, in seconds, for the way from the last look at the clock to the task's first line.
START_MARGIN = 0.005
#: Seconds after which an atomic task on SQLite, which holds the only write lock, is warned about (DESIGN G3).
LONG_WRITE_LOCK = 1.0


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
    execution = _Execution(claimed, queue, worker_id)
    execution.started_at = claimed.claimed_at + timedelta(seconds=max(0.0, began - claimed.claimed_monotonic))
    outcome = execution._failure(error, task.policy.attempts, task.policy.backoff)
    if isinstance(outcome, (Failed, Retried)) and trace:
        outcome = replace(outcome, traceback=f"{trace}\n{outcome.traceback}")
    task.ended(outcome, error)
    return execution._settlement(outcome)


class _NotNow(Exception):
    """An atomic task does not start, or cannot commit, for no fault of its own."""

    def __init__(self, outcome: HandedBack | Completed) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Execution:
    """The course of one start."""

    __slots__ = ("claimed", "mask", "queue", "settled", "started_at", "worker_id")

    def __init__(self, claimed: ClaimedJob, queue: Queue, worker_id: UUID) -> None:
        self.claimed = claimed
        self.queue = queue
        self.worker_id = worker_id
        self.started_at: datetime | None = None
        self.mask = NO_MASK
        self.settled: tuple[Settlement, Settled] | None = None  # what an atomic task has settled itself

    def run(self) -> Settlement | None:
        try:
            return self._run()
        except BaseException as error:  # the engine's own mistake must not take the worker's thread along
            self._log_error("execution_broke", error)
            return self._settlement(self._failure(error, self.queue.policy.attempts, self.queue.policy.backoff))

    def _run(self) -> Settlement | None:
        claimed = self.claimed
        if claimed.cancel_requested:
            return self._settlement(GivenUp(reasons.BEFORE_START))
        task = self.queue.find_task(claimed.task)
        if task is None:
            return self._settlement(self._not_understood(reasons.UNKNOWN_TASK % {"task": claimed.task}))
        try:
            args, kwargs = self._arguments(task)
        except (MessageError, InvalidArguments) as error:
            return self._settlement(self._not_understood(str(error)))
        except NothingToTake as error:
            return self._settlement(Failed(str(error), attempted=False))
        except (OperationalError, InterfaceError) as error:
            return self._settlement(self._no_connection(error))
        if self._has_started_too_often(claimed.starts):
            text = reasons.STARTED_TOO_OFTEN % {"count": MAX_STARTS}
            return self._settlement(Failed(text, attempted=False))
        if (away := connect_first()) is not None:
            return self._settlement(self._no_connection(away))
        if task.personal:
            self.mask = Mask(task.signature, self.claimed.message)
        if not is_seen(self.queue, task):
            return self._start(task, partial(task.func, *args, **kwargs))
        huey_task = task.task_class(args, kwargs, id=str(claimed.id), timeout=task.policy.timeout)
        try:
            self.queue._run_pre_execute(huey_task)
        except CancelExecution as error:
            return self._settlement(GivenUp(reasons.REFUSED_BY_HOOK % {"error": self._line(error)}))
        self.queue._emit(huey_signals.SIGNAL_EXECUTING, huey_task)
        self.queue._tasks_in_flight.add(huey_task)
        try:
            return self._start(task, huey_task.execute, huey_task)
        finally:
            self.queue._tasks_in_flight.discard(huey_task)

    def _arguments(self, task: Task) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            return task.signature.decode(self.claimed.message)
        except IncompleteMessage:
            message = complete_message(self.claimed.message, awaited_by(self.claimed.id))
            self.claimed = msgspec.structs.replace(self.claimed, message=message)
            return task.signature.decode(message)

    def _start(self, task: Task, function: Callable[[], Any], huey_task: Any = None) -> Settlement | None:
        deadline = None
        if task.policy.timeout:
            deadline = time.monotonic() + task.policy.timeout
            if huey_task is not None:
                huey_task._deadline = deadline
        value, failure = None, None
        job = RunningJob(self.claimed, self._still_mine, deadline, self._make_desk)
        job.sealed = bool(task.encrypted)
        begin_work(job)
        try:
            point("execute.before")
            if task.atomic:
                return self._run_atomic(task, function, huey_task)
            if self._too_late_for_its_pace():
                return self._settlement(HandedBack(reasons.PACE))
            self.started_at = self._now()
            value = call(function)
            if type(value) is CoroutineType:
                value = event_loop.run(value, job.time_remaining)
            job.check_left()
            point("execute.after")
            outcome: Outcome = Completed(self._result(task, value))
        except BaseException as error:  # SystemExit of a task is its failure, not the worker's end
            value, failure = None, (error := job.stopped or error)
            outcome = self._failure(error, task.policy.attempts, task.policy.backoff)
            self._keep_cursors(job)
        finally:
            end_work(self.claimed.id)
            if job.has_desk:
                self._end_desk(job)
        task.ended(outcome, failure)
        if huey_task is not None:
            self.queue._run_post_execute(huey_task, value, failure)
        return self._settlement(outcome)

    def _result(self, task: Task, value: Any) -> str | None:
        return encode_result(task.name, value, self.mask, sealed=bool(task.encrypted))

    def _run_atomic(self, task: Task, function: Callable[[], Any], huey_task: Any) -> Settlement | None:
        """Processor, the jobs it enqueues and how it ended in one transaction (G3)."""
        alias = jobs_settings().database
        broker, policy = get_broker(), self.queue.policy
        began, step = time.monotonic(), "begin"
        try:
            with transaction.atomic(using=alias):
                if (done := broker.begin_atomic(self.worker_id, policy, self.claimed)) is not None:
                    self.started_at = self._now()
                    raise _NotNow(done)
                point("atomic.after_begin")
                # behind BEGIN, which waits for SQLite's write lock
                if self._too_late_for_its_pace():
                    raise _NotNow(HandedBack(reasons.PACE))
                self.started_at, step = self._now(), "task"
                value = call(function)
                point("atomic.before_settle")
                settlement = self._settlement(Completed(self._result(task, value)))
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
            return self._settlement(error.outcome)
        except LeaseLost:
            if not self._has_ended():  # the task has deleted its own row, and that is rolled back now
                raise
            logger.warning("lease_lost id=%s task=%s: rolled back", self.claimed.id, task.name)
            return None
        except (OperationalError, InterfaceError, BrokerAway) as error:
            if step == "begin":
                return self._settlement(self._no_connection(error))
            if step == "task":
                raise
            if step == "settle" or not self._has_committed():
                # a COMMIT that raises is unknown, not failed; should it have worked after all, the next start sees it
                text = reasons.COMMIT_FAILED % {"error": self._line(error)}
                return self._settlement(HandedBack(text, delay=COMMIT_DELAY))
            self._log_error("after_commit_failed", error)
        except Exception as error:
            # only a hook of on_commit() raises this late: the job has ended
            if not (step == "commit" and self._has_committed()):
                raise
            self._log_error("after_commit_failed", error)
        self._warn_of_long_lock(task, time.monotonic() - began, alias)
        task.ended(settlement.outcome, None)
        if huey_task is not None:
            self.queue._run_post_execute(huey_task, value, None)
        if not broker.after_atomic(self.worker_id, policy, settlement):
            return settlement
        self.settled = settlement, settled
        return None

    def _failure(self, error: BaseException, attempts: int, backoff: Backoff) -> Outcome:
        if isinstance(error, Stopped):
            return HandedBack(error.reason, delay=error.delay)
        text, trace = self._line(error), trace_of(error, self.mask)
        away = failure_to_connect(error)
        if away is not None and not isinstance(error, (Cancelled, RetryLater)):
            return self._no_connection(away)
        if isinstance(error, Cancelled):
            return GivenUp(text)
        if isinstance(error, CancelExecution) and not error.retry:
            return GivenUp(text)
        if isinstance(error, RetryTask):
            error = RetryLater(huey_delay(error, self._now()), reason=text)
        if isinstance(error, RetryLater):
            if self._has_started_too_often(self.claimed.starts + 1):
                return Failed(reasons.ASKS_TOO_OFTEN % {"count": MAX_STARTS, "error": text}, trace)
            return Postponed(error.seconds, text, error.whole_queue, error.whole_group)
        if isinstance(error, (PermanentError, InvalidArguments)):
            return Failed(text, trace)
        attempt, counts_for = self.claimed.attempts + 1, self._counts_for(error)
        wait = GIVE_UP if attempt >= attempts else self._wait(backoff, error, attempt)
        if wait is GIVE_UP:
            return Failed(text, trace, counts_for=counts_for)
        return Retried(wait, text, trace, counts_for)

    def _counts_for(self, error: BaseException) -> tuple[str, ...]:
        """The breakers of the task that count this failure."""
        task = self.queue.find_task(self.claimed.task)
        return tuple(one.name for one in task.breakers if isinstance(error, one.on)) if task is not None else ()

    def _wait(self, backoff: Backoff, error: BaseException, attempt: int) -> float | GiveUp:
        """Seconds to the next attempt; a function of the project's own that fails is as if it had said nothing."""
        if isinstance(backoff, Custom):
            try:
                return backoff.wait(error, attempt)
            except BaseException as wrong:
                self._log_error("backoff_failed", wrong)
        return backoff.delay(attempt)

    def _has_started_too_often(self, starts: int) -> bool:
        """Whether so many starts came to nothing; those that went on for their slice of time do not count."""
        if starts < MAX_STARTS:
            return False
        try:
            return starts - stops_of(self.claimed.id, self.claimed.run) >= MAX_STARTS
        except (OperationalError, InterfaceError):  # once the database answers, it is looked at again
            return False

    def _make_desk(self) -> JobDesk:
        return JobDesk(self.claimed, self.mask, self._still_mine)

    def _end_desk(self, job: RunningJob) -> None:
        if isinstance(desk := job.desk, JobDesk):
            desk.end()

    def _keep_cursors(self, job: RunningJob) -> None:
        try:
            job.keep_cursors()
        except BaseException as error:  # then some items come once more
            self._log_error("cursor_not_kept", error)

    def _not_understood(self, text: str) -> Outcome:
        since = self.claimed.unknown_since
        waited = (self.claimed.claimed_at - since).total_seconds() if since else 0.0
        if since is not None and waited >= jobs_settings().unknown_grace:
            told = reasons.NOT_UNDERSTOOD % {"seconds": f"{waited:.0f}", "error": text}
            return Failed(told, attempted=False)
        return HandedBack(text, delay=UNKNOWN_DELAY, unknown=True)

    def _no_connection(self, error: BaseException) -> Outcome:
        """The worker's own trouble, of which the job must not suffer."""
        return HandedBack(reasons.NO_CONNECTION % {"error": self._line(error)}, trouble=True)

    def _too_late_for_its_pace(self) -> bool:
        start_by = self.claimed.start_by
        return start_by is not None and clock.monotonic() > start_by - START_MARGIN

    def _still_mine(self) -> bool:
        return get_broker().holds(self.queue.name, self.claimed.id, self.claimed.token)

    def _has_ended(self) -> bool:
        """Whether the job is surely not this worker's any more."""
        try:
            return not self._still_mine()
        except BrokerAway:
            return False

    def _has_committed(self) -> bool:
        """Whether the transaction of an atomic task surely did, whose COMMIT raised, or something behind it."""
        try:
            return get_broker().has_committed(self.claimed)
        except BrokerAway:
            return False

    def _settlement(self, outcome: Outcome) -> Settlement:
        if isinstance(outcome, Failed):
            outcome = replace(outcome, release=jobs_settings().release)
        return Settlement(self.claimed, outcome, self.started_at, self._now())

    def _now(self) -> datetime:
        """The broker's time: this machine's clock may be wrong."""
        return self.claimed.claimed_at + timedelta(0, 0, int(self.claimed.seconds_since_claim() * 1_000_000))

    def _line(self, error: BaseException) -> str:
        return line_of(error, self.mask)

    def _log_error(self, event: str, error: BaseException) -> None:
        trace = visible(trace_of(error, self.mask))
        logger.error("%s id=%s task=%s traceback=%s", event, self.claimed.id, self.claimed.task, trace)

    def _warn_of_long_lock(self, task: Task, seconds: float, alias: str) -> None:
        if seconds > LONG_WRITE_LOCK and connections[alias].vendor == "sqlite":
            logger.warning(
                "long_write_lock id=%s task=%s seconds=%.1f: an atomic task holds SQLite's only write lock; "
                "call other services before it",
                self.claimed.id,
                task.name,
                seconds,
            )
