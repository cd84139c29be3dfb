"""One claimed job: from its message to the outcome that the broker settles. Never raises."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.db import IntegrityError, connections, transaction
from huey import signals as huey_signals
from huey.exceptions import CancelExecution, RetryTask

from .. import clock, reasons, signals
from ..broker import get_broker
from ..broker.records import (
    ClaimedJob,
    Completed,
    Expired,
    Failed,
    GivenUp,
    HandedBack,
    Outcome,
    Postponed,
    Retried,
    Settlement,
)
from ..conf import jobs_settings
from ..connections import close_obsolete_connections
from ..define.context import RunningJob, working_on
from ..define.message import MessageError, encode_result
from ..define.queue import Queue
from ..define.task import Task
from ..errors import Cancelled, InvalidArguments, LeaseLost, PermanentError, RetryLater
from ..faults import point
from ..policy import ONE_YEAR
from .error_texts import line_of, secrets_of, trace_of
from .forks import call

logger = logging.getLogger("jobs.execution")

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


def execute(claimed: ClaimedJob, queue: Queue, worker_id: UUID) -> Settlement | None:
    """Run one job and say how it ended; None when an atomic task has already settled, or had lost its lease.

    The job runs in a copied context, so that language and time zone cannot leak, with the caller's obsolete database
    connections closed before and after.
    """
    close_obsolete_connections()
    callers = {connection.alias: len(connection.atomic_blocks) for connection in connections.all(initialized_only=True)}
    execution = _Execution(claimed, queue, worker_id)
    try:
        settlement = contextvars.copy_context().run(execution.run)
    finally:
        _clear_left_transactions(claimed, callers)
        close_obsolete_connections()
    if execution.settled is not None:
        announce(queue, execution.settled)
        return None
    return settlement


def announce(queue: Queue, settlement: Settlement) -> None:
    """Send the signals and the log line of a settlement that the broker accepted."""
    job, outcome = settlement.job, settlement.outcome
    seconds = _seconds_run(settlement)
    where = f"id={job.id} queue={job.queue} task={job.task} attempt={job.attempts + 1}"
    match outcome:
        case Completed():
            logger.info("job_completed %s seconds=%.3f", where, seconds)
            _send(signals.job_completed, queue, job=job, result=outcome.result, seconds=seconds)
        case Failed():
            logger.error("job_failed %s error=%s", where, outcome.error)
            _send(signals.job_failed, queue, job=job, error=outcome.error)
        case Retried():
            logger.warning("job_retrying %s delay=%.1f error=%s", where, outcome.delay, outcome.error)
            _send(signals.job_retrying, queue, job=job, error=outcome.error, delay=outcome.delay)
        case Postponed():
            logger.info("job_postponed %s delay=%.1f whole_queue=%s", where, outcome.delay, outcome.whole_queue)
            _send(signals.job_retrying, queue, job=job, error=outcome.reason, delay=outcome.delay)
        case HandedBack():
            logger.info("job_handed_back %s reason=%s", where, outcome.reason)
        case GivenUp():
            logger.info("job_cancelled %s", where)
        case Expired():
            logger.info("job_expired %s", where)
    _emit_huey_signal(queue, settlement)


class _Execution:
    """The course of one start."""

    def __init__(self, claimed: ClaimedJob, queue: Queue, worker_id: UUID) -> None:
        self.claimed = claimed
        self.queue = queue
        self.worker_id = worker_id
        self.started_at: datetime | None = None
        self.secrets: tuple[str, ...] = ()
        self.settled: Settlement | None = None  # what an atomic task has settled itself

    def run(self) -> Settlement | None:
        try:
            return self._run()
        except BaseException as error:  # the engine's own mistake must not take the worker's thread along
            logger.exception("execution_broke id=%s task=%s", self.claimed.id, self.claimed.task)
            return self._settlement(self._failure(error, self.queue.policy.attempts, self.queue.policy.backoff.delay))

    def _run(self) -> Settlement | None:
        claimed = self.claimed
        if claimed.cancel_requested:
            return self._settlement(GivenUp(reasons.BEFORE_START))
        if claimed.expires_at is not None and claimed.expires_at <= claimed.claimed_at:
            return self._settlement(Expired())
        task = self.queue.find_task(claimed.task)
        if task is None:
            return self._settlement(self._not_understood(reasons.UNKNOWN_TASK % {"task": claimed.task}))
        try:
            args, kwargs = task.signature.decode(claimed.message)
        except (MessageError, InvalidArguments) as error:
            return self._settlement(self._not_understood(str(error)))
        if claimed.starts >= MAX_STARTS:
            text = reasons.STARTED_TOO_OFTEN % {"count": MAX_STARTS}
            return self._settlement(Failed(text, attempted=False))
        self.secrets = _secrets(task, args, kwargs)
        huey_task = task.task_class(args, kwargs, id=str(claimed.id), timeout=task.policy.timeout)
        try:
            self.queue._run_pre_execute(huey_task)
        except CancelExecution as error:
            return self._settlement(GivenUp(reasons.REFUSED_BY_HOOK % {"error": self._line(error)}))
        self.queue._emit(huey_signals.SIGNAL_EXECUTING, huey_task)
        if self._too_late_for_its_pace():
            return self._settlement(HandedBack(reasons.PACE))
        return self._start(task, huey_task)

    def _start(self, task: Task, huey_task: Any) -> Settlement | None:
        deadline = time.monotonic() + task.policy.timeout if task.policy.timeout else None
        huey_task._deadline = deadline
        job = RunningJob(self.claimed, self._still_mine, deadline)
        value, failure = None, None
        self.queue._tasks_in_flight.add(huey_task)
        self.started_at = self._now()
        try:
            with working_on(job):
                point("execute.before")
                if task.atomic:
                    return self._run_atomic(task, huey_task)
                value = call(huey_task.execute)
                point("execute.after")
                outcome: Outcome = Completed(encode_result(task.name, value))
        except BaseException as error:  # SystemExit of a task is its failure, not the worker's end
            failure = error
            outcome = self._failure(error, task.policy.attempts, task.policy.backoff.delay)
        finally:
            self.queue._tasks_in_flight.discard(huey_task)
        self.queue._run_post_execute(huey_task, value, failure)
        return self._settlement(outcome)

    def _run_atomic(self, task: Task, huey_task: Any) -> Settlement | None:
        """Processor, the jobs it enqueues and the settle in one transaction (G3)."""
        alias = jobs_settings().database
        began, committing = time.monotonic(), False
        try:
            with transaction.atomic(using=alias):
                value = call(huey_task.execute)
                point("atomic.before_settle")
                settlement = self._settlement(Completed(encode_result(task.name, value)))
                if not get_broker().settle_in_transaction(self.worker_id, self.queue.policy, settlement):
                    raise LeaseLost(f"job {self.claimed.id} is no longer this worker's")
                committing = True
                point("atomic.before_commit")
            point("atomic.after_commit")
        except LeaseLost:
            if not self._has_ended():  # the task has deleted its own row, and that is rolled back now
                raise
            logger.warning("lease_lost id=%s task=%s: rolled back", self.claimed.id, task.name)
            return None
        except DatabaseFailure as error:
            if not committing or isinstance(error, IntegrityError):
                raise
            if not self._has_ended():
                # a COMMIT that raises is unknown, not failed; should it have worked after all, the fence refuses this
                text = reasons.COMMIT_FAILED % {"error": self._line(error)}
                return self._settlement(HandedBack(text, delay=COMMIT_DELAY))
            logger.exception("after_commit_failed id=%s task=%s", self.claimed.id, task.name)
        except Exception:
            # only a hook of on_commit() raises this late: the job has ended
            if not (committing and self._has_ended()):
                raise
            logger.exception("after_commit_failed id=%s task=%s", self.claimed.id, task.name)
        self._warn_of_long_lock(task, time.monotonic() - began, alias)
        self.settled = settlement
        self.queue._run_post_execute(huey_task, value, None)
        return None

    def _failure(self, error: BaseException, attempts: int, backoff: Callable[[int], float]) -> Outcome:
        text, trace = self._line(error), trace_of(error, self.secrets)
        if isinstance(error, Cancelled):
            return GivenUp(text)
        if isinstance(error, CancelExecution) and not error.retry:
            return GivenUp(text)
        if isinstance(error, RetryTask):
            error = RetryLater(_huey_delay(error), reason=text)
        if isinstance(error, RetryLater):
            if self.claimed.starts + 1 >= MAX_STARTS:
                return Failed(reasons.ASKS_TOO_OFTEN % {"count": MAX_STARTS, "error": text}, trace)
            return Postponed(error.seconds, text, error.whole_queue)
        if isinstance(error, (PermanentError, InvalidArguments)):
            return Failed(text, trace)
        attempt = self.claimed.attempts + 1
        if attempt >= attempts:
            return Failed(text, trace)
        return Retried(backoff(attempt), text, trace)

    def _not_understood(self, text: str) -> Outcome:
        since = self.claimed.unknown_since
        waited = (self.claimed.claimed_at - since).total_seconds() if since else 0.0
        if since is not None and waited >= jobs_settings().unknown_grace:
            told = reasons.NOT_UNDERSTOOD % {"seconds": f"{waited:.0f}", "error": text}
            return Failed(told, attempted=False)
        return HandedBack(text, delay=UNKNOWN_DELAY, unknown=True)

    def _too_late_for_its_pace(self) -> bool:
        start_by = self.claimed.start_by
        return start_by is not None and clock.monotonic() > start_by - START_MARGIN

    def _still_mine(self) -> bool:
        return get_broker().holds(self.claimed.id, self.claimed.token)

    def _has_ended(self) -> bool:
        """Whether the job is surely not this worker's any more."""
        try:
            return not self._still_mine()
        except DatabaseFailure:
            return False

    def _settlement(self, outcome: Outcome) -> Settlement:
        return Settlement(self.claimed, outcome, self.started_at, self._now())

    def _now(self) -> datetime:
        """The broker's time: this machine's clock may be wrong."""
        return self.claimed.claimed_at + timedelta(seconds=self.claimed.seconds_since_claim())

    def _line(self, error: BaseException) -> str:
        return line_of(error, self.secrets)

    def _warn_of_long_lock(self, task: Task, seconds: float, alias: str) -> None:
        if seconds > LONG_WRITE_LOCK and connections[alias].vendor == "sqlite":
            logger.warning(
                "long_write_lock id=%s task=%s seconds=%.1f: an atomic task holds SQLite's only write lock; "
                "call other services before it",
                self.claimed.id,
                task.name,
                seconds,
            )


_HUEY_SIGNALS: dict[type, str] = {
    Completed: huey_signals.SIGNAL_COMPLETE,
    Failed: huey_signals.SIGNAL_ERROR,
    Retried: huey_signals.SIGNAL_RETRYING,
    Postponed: huey_signals.SIGNAL_RETRYING,
    GivenUp: huey_signals.SIGNAL_CANCELED,
    Expired: huey_signals.SIGNAL_EXPIRED,
}


def _emit_huey_signal(queue: Queue, settlement: Settlement) -> None:
    signal = _HUEY_SIGNALS.get(type(settlement.outcome))
    task = queue.find_task(settlement.job.task)
    if signal is None or task is None or not any(queue._signal.receivers.values()):
        return
    try:
        args, kwargs = task.signature.decode(settlement.job.message)
    except (MessageError, InvalidArguments):
        return
    huey_task = task.task_class(args, kwargs, id=str(settlement.job.id))
    extra = (RuntimeError(settlement.outcome.error),) if isinstance(settlement.outcome, Failed) else ()
    queue._emit(signal, huey_task, *extra)


def _send(signal: Any, queue: Queue, **values: Any) -> None:
    if not signal.receivers:
        return
    try:
        answers = signal.send_robust(sender=queue, **values)
    except BaseException:  # Django lets SystemExit pass; a receiver must not end the worker's thread
        logger.exception("signal_receiver_left signal=%r", signal)
        return
    for receiver, answer in answers:
        if isinstance(answer, Exception):
            logger.error("signal_receiver_failed receiver=%r", receiver, exc_info=answer)


def _seconds_run(settlement: Settlement) -> float:
    if settlement.started_at is None or settlement.ended_at is None:
        return 0.0
    return max(0.0, (settlement.ended_at - settlement.started_at).total_seconds())


def _huey_delay(error: RetryTask) -> float:
    """Huey's `eta` (naive: UTC, as its own default) or `delay`, within what `RetryLater` takes."""
    if error.eta is not None:
        eta = error.eta if error.eta.tzinfo else error.eta.replace(tzinfo=UTC)
        seconds = (eta - clock.now()).total_seconds()
    else:
        delay = error.delay or 0.0
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    return min(max(seconds, 0.0), ONE_YEAR)


def _secrets(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
    if not task.personal:
        return ()
    bound = task.signature.signature.bind(*args, **kwargs).arguments
    return secrets_of(bound[name] for name in task.personal if name in bound)


def _clear_left_transactions(claimed: ClaimedJob, callers: Mapping[str, int]) -> None:
    """Roll back what the task left open; `callers` are the atomic blocks that were open before it."""
    for connection in connections.all(initialized_only=True):
        if len(connection.atomic_blocks) > callers.get(connection.alias, 0) == 0:
            logger.error("transaction_left_open id=%s task=%s: rolled back", claimed.id, claimed.task)
            connection.close()
            with contextlib.suppress(DatabaseFailure):  # the next job tries again
                connection.connect()
        elif not (connection.in_atomic_block or connection.connection is None or connection.get_autocommit()):
            logger.error("transaction_left_open id=%s task=%s: rolled back", claimed.id, claimed.task)
            connection.rollback()
            connection.set_autocommit(True)
