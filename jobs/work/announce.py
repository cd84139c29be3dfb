"""What is said of a job that the broker has settled: its log line, and the signals that others listen to."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from collections import deque
from typing import Any

from huey import signals as huey_signals

from .. import signals
from ..broker.records import (
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
from ..connections import close_obsolete_connections
from ..define.masks import NO_MASK, Mask
from ..define.message import MessageError
from ..define.queue import Queue
from ..errors import InvalidArguments
from ..states import State
from ..visible import visible
from .error_texts import trace_of
from .forks import call
from .snapshot import snapshot

logger = logging.getLogger("jobs.execution")


#: Settled jobs that may wait to be announced; beyond, nothing is claimed, and threads that have settled all help.
MOST_NEWS = 1_000
#: How long news wait for a thread of the pool that has nothing better to do, in seconds.
PATIENCE = 0.020


class Announcer:
    """Announces what was settled, so that neither a slow receiver nor a slow log delays jobs that are claimed.

    `put` notes, `tell` announces where that holds up nobody, and `run`, in a thread of its own, what is left. What
    other code listens to is left to that thread alone, as long as it runs and keeps up. One thread at a time announces,
    in the order of what was noted; only where it does not keep up others `help`.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._news: deque[tuple[Settlement, Settled]] = deque()
        self._telling = threading.Lock()
        self._rung = threading.Event()
        self._ended = threading.Event()
        self._ended.set()

    def put(self, settlement: Settlement, settled: Settled) -> None:
        """Note that the broker has answered to a settlement."""
        self._news.append((settlement, settled))
        if not self._rung.is_set() and not self._ended.is_set():
            self._rung.set()

    def tell(self) -> None:
        """Announce, by a thread that has nothing to do before the next exchange."""
        if self._news and (self._ended.is_set() or not _is_heard(self._queue)):
            self._tell_all()

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that nothing should be added."""
        return len(self._news) > MOST_NEWS

    def help(self) -> None:
        """Announce one thing, beside whoever else does."""
        self._tell_next()

    def run(self) -> None:
        """Announce until `end`, and then what is still there."""
        self._ended.clear()
        while not self._ended.is_set():
            self._rung.wait()
            self._rung.clear()
            if not _is_heard(self._queue):
                self._ended.wait(PATIENCE)
            with contextlib.suppress(Exception):  # the receivers that need it will say so
                close_obsolete_connections()
            contextvars.copy_context().run(self._tell_all)
        self._tell_all()

    def end(self) -> None:
        """Let `run` come to its end; from now on `tell` announces everything."""
        self._ended.set()
        self._rung.set()

    def _tell_all(self) -> None:
        # whoever tells already goes on with what came meanwhile
        while self._news and self._telling.acquire(blocking=False):
            try:
                self._tell_next()
            finally:
                self._telling.release()

    def _tell_next(self) -> None:
        try:
            settlement, settled = self._news.popleft()
        except IndexError:  # another thread was faster
            return
        try:
            if settled.counted:
                call(announce, self._queue, settlement, settled.state)
            else:
                job = settlement.job
                logger.warning("settle_refused id=%s queue=%s: the lease was lost", job.id, job.queue)
        except BaseException:  # SystemExit of a log handler or of a receiver of Huey's signals is not the thread's end
            with contextlib.suppress(Exception):  # a log that fails too
                logger.exception("announce_failed id=%s queue=%s", settlement.job.id, settlement.job.queue)


def announce(queue: Queue, settlement: Settlement, state: State | None = None) -> None:
    """Write the log line and send the signals of a settlement that the broker accepted; `state` is what came of it.

    A job that somebody cancelled while it ran ends as cancelled, whatever it asked for: no retry is announced then.
    """
    job, outcome = settlement.job, settlement.outcome
    if state is State.CANCELLED:
        outcome = GivenUp("")
    match outcome:
        case Completed():
            seconds = _seconds_run(settlement)
            logger.info("job_completed id=%s queue=%s task=%s attempt=%d seconds=%.3f", *_where(settlement), seconds)
            _send(signals.job_completed, queue, settlement, result=outcome.result, seconds=seconds)
        case Failed():
            logger.error("job_failed id=%s queue=%s task=%s attempt=%d error=%s", *_where(settlement), outcome.error)
            _send(signals.job_failed, queue, settlement, error=outcome.error)
        case Retried():
            logger.warning(
                "job_retrying id=%s queue=%s task=%s attempt=%d delay=%.1f error=%s",
                *_where(settlement),
                outcome.delay,
                outcome.error,
            )
            _send(signals.job_retrying, queue, settlement, error=outcome.error, delay=outcome.delay)
        case Postponed():
            logger.info(
                "job_postponed id=%s queue=%s task=%s attempt=%d delay=%.1f whole_queue=%s",
                *_where(settlement),
                outcome.delay,
                outcome.whole_queue,
            )
            _send(signals.job_retrying, queue, settlement, error=outcome.reason, delay=outcome.delay)
        case HandedBack():
            where = _where(settlement)
            logger.info("job_handed_back id=%s queue=%s task=%s attempt=%d reason=%s", *where, outcome.reason)
        case GivenUp():
            logger.info("job_cancelled id=%s queue=%s task=%s attempt=%d", *_where(settlement))
    _emit_huey_signal(queue, job, outcome)


def _where(settlement: Settlement) -> tuple[object, ...]:
    job = settlement.job
    return job.id, job.queue, job.task, job.attempts + 1


def _is_heard(queue: Queue) -> bool:
    """Whether other code listens to what is announced."""
    return bool(
        signals.job_completed.receivers
        or signals.job_failed.receivers
        or signals.job_retrying.receivers
        or any(queue._signal.receivers.values())
    )


_HUEY_SIGNALS: dict[type, str] = {
    Completed: huey_signals.SIGNAL_COMPLETE,
    Failed: huey_signals.SIGNAL_ERROR,
    Retried: huey_signals.SIGNAL_RETRYING,
    Postponed: huey_signals.SIGNAL_RETRYING,
    GivenUp: huey_signals.SIGNAL_CANCELED,
}


def _emit_huey_signal(queue: Queue, job: ClaimedJob, outcome: Outcome) -> None:
    signal = _HUEY_SIGNALS.get(type(outcome))
    if signal is None or not any(queue._signal.receivers.values()):
        return
    task = queue.find_task(job.task)
    if task is None:
        return
    try:
        args, kwargs = task.signature.decode(job.message)
    except (MessageError, InvalidArguments):
        return
    huey_task = task.task_class(args, kwargs, id=str(job.id))
    extra = (RuntimeError(outcome.error),) if isinstance(outcome, Failed) else ()
    queue._emit(signal, huey_task, *extra)


def _send(signal: Any, queue: Queue, settlement: Settlement, **values: Any) -> None:
    if not signal.receivers:
        return
    values["job"] = snapshot(settlement)
    try:
        answers = signal.send_robust(sender=queue, **values)
    except BaseException as error:  # Django lets SystemExit pass; a receiver must not end the worker's thread
        _log_receiver("signal_receiver_left", queue, settlement, signal, error)
        return
    for receiver, answer in answers:
        if isinstance(answer, Exception):
            _log_receiver("signal_receiver_failed", queue, settlement, receiver, answer)


def _log_receiver(event: str, queue: Queue, settlement: Settlement, receiver: Any, error: BaseException) -> None:
    task = queue.find_task(settlement.job.task)
    mask = Mask(task.signature, settlement.job.message) if task else NO_MASK
    logger.error("%s receiver=%r traceback=%s", event, receiver, visible(trace_of(error, mask)))


def _seconds_run(settlement: Settlement) -> float:
    if settlement.started_at is None or settlement.ended_at is None:
        return 0.0
    return max(0.0, (settlement.ended_at - settlement.started_at).total_seconds())
