"""What is said of a job that the broker has settled: its log line, and the signals that others listen to."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID

from huey import signals as huey_signals

from .. import signals
from ..broker.contract import Broker
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
from ..errors import BrokerAway, InvalidArguments
from ..json_lines import about
from ..states import State
from ..visible import visible
from .error_texts import trace_of
from .forks import call
from .snapshot import snapshot

logger = logging.getLogger("jobs.execution")


#: As much may wait to be told, also of some bulk calls that end at once; beyond, the oldest is dropped.
MOST_NEWS = 5_000
#: How long news wait for a thread of the pool that has nothing better to do, in seconds.
PATIENCE = 0.020
#: Seconds between two reports of what was dropped.
REPORT_EVERY = 10.0
#: As many of the innermost calls are logged of whoever keeps the news waiting.
SHOWN_CALLS = 5

News = TypeVar("News")


class Announcer:
    """Announces what was settled, so that neither a log nor what other code listens with ever holds up a job.

    `put` notes, `tell` writes the log where that delays nobody, and `run`, in a thread of its own, writes what is left
    and calls what other code listens with. Where they do not keep up, the oldest news is dropped: `report` tells.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lines: _Waiting[tuple[Settlement, Settled]] = _Waiting()
        self._calls: _Waiting[Callable[[], None]] = _Waiting()
        self._rung = threading.Event()
        self._ended = threading.Event()
        self._ended.set()
        self._reported = 0
        self._report_at = 0.0

    def put(self, settlement: Settlement, settled: Settled) -> None:
        """Note that the broker has answered to a settlement."""
        if self._is_of_interest(settlement, settled):
            self._lines.put((settlement, settled))
            self._ring()

    def put_error(self, error: BaseException) -> None:
        """Note that the worker's own machinery has met an error."""
        if signals.worker_error.receivers:
            self._calls.put(partial(_send_error, self._queue, error))
            self._ring()

    def put_call(self, news: Callable[[], None]) -> None:
        """Note what else is to be told."""
        self._calls.put(news)
        self._ring()

    def tell(self) -> None:
        """Announce, by a thread that has nothing to do before the next exchange."""
        self._lines.tell(self._write)
        if self._ended.is_set():
            self._calls.tell(call)

    def run(self) -> None:
        """Announce until `end`, and then what is still there."""
        self._ended.clear()
        while not self._ended.is_set():
            self._rung.wait()
            self._rung.clear()
            if not _is_heard(self._queue):
                self._ended.wait(PATIENCE)
            self._lines.tell(self._write)
            with contextlib.suppress(Exception):  # the receivers that need it will say so
                close_obsolete_connections()
            contextvars.copy_context().run(self._calls.tell, call)
        self.tell()

    def end(self) -> None:
        """Let `run` come to its end; from now on `tell` announces everything."""
        self._ended.set()
        self._rung.set()

    def report(self, broker: Broker, worker_id: UUID, now: float) -> None:
        """Let log and status say how many news were dropped so far, if there are more than when it was last said."""
        dropped = self._lines.dropped + self._calls.dropped
        if dropped == self._reported or now < self._report_at:
            return
        self._report_at = now + REPORT_EVERY
        name, held_up_by = self._queue.name, self._calls.teller_at() or self._lines.teller_at()
        logger.error("news_dropped queue=%s pid=%d dropped=%d held_up_by=%s", name, os.getpid(), dropped, held_up_by)
        try:
            broker.report_dropped(worker_id, dropped)
        except BrokerAway:  # the next time then
            return
        except Exception:  # the log says it all the same
            logger.exception("dropped_not_told queue=%s", name)
        self._reported = dropped

    def _is_of_interest(self, settlement: Settlement, settled: Settled) -> bool:
        if settled.state is not State.COMPLETED or logger.isEnabledFor(logging.INFO):
            return True
        return _is_heard(self._queue)

    def _ring(self) -> None:
        if not self._rung.is_set() and not self._ended.is_set():
            self._rung.set()

    def _write(self, news: tuple[Settlement, Settled]) -> None:
        settlement, settled = news
        job = settlement.job
        if not settled.counted:
            call(logger.warning, "settle_refused id=%s queue=%s: the lease was lost", job.id, job.queue)
            return
        if _is_heard(self._queue):
            self._calls.put(partial(_send_signals, self._queue, settlement, settled.state))
            self._ring()
        call(_write_line, settlement, settled.state)


class _Waiting(Generic[News]):
    """What waits to be told, in its order; the oldest is dropped where it becomes too much."""

    def __init__(self) -> None:
        self.dropped = 0
        self._items: deque[News] = deque()
        self._adding = threading.Lock()
        self._telling = threading.Lock()
        self._teller: int | None = None

    def put(self, item: News) -> None:
        """Add one."""
        with self._adding:
            if len(self._items) >= MOST_NEWS:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)

    def tell(self, tell: Callable[[News], object]) -> None:
        """Tell all, unless another thread does already: that goes on with what came meanwhile."""
        while self._items and self._telling.acquire(blocking=False):
            self._teller = threading.get_ident()
            try:
                if self._items:
                    tell(self._items.popleft())
            except BaseException:  # SystemExit of a log handler or a receiver of Huey's is not the thread's end
                with contextlib.suppress(Exception):  # a log that fails too
                    logger.exception("announce_failed")
            finally:
                self._teller = None
                self._telling.release()

    def teller_at(self) -> str:
        """Where the thread is that tells one at the moment, its innermost call last; empty: none does."""
        frame = sys._current_frames().get(self._teller or 0)
        if frame is None:
            return ""
        calls = traceback.extract_stack(frame)[-SHOWN_CALLS:]
        return " > ".join(f"{found.filename}:{found.lineno} {found.name}" for found in calls)


def announce(queue: Queue, settlement: Settlement, state: State | None = None) -> None:
    """Write the log line and send the signals of a settlement that the broker accepted; `state` is what came of it.

    A job that somebody cancelled while it ran ends as cancelled, whatever it asked for: no retry is announced then.
    """
    _write_line(settlement, state)
    _send_signals(queue, settlement, state)


def _write_line(settlement: Settlement, state: State | None) -> None:
    where, outcome = _where(settlement), _outcome(settlement, state)
    job = about(settlement.job)
    match outcome:
        case Completed():
            seconds = seconds_run(settlement)
            logger.info("job_completed id=%s queue=%s task=%s attempt=%d seconds=%.3f", *where, seconds, extra=job)
        case Failed():
            logger.error("job_failed id=%s queue=%s task=%s attempt=%d error=%s", *where, outcome.error, extra=job)
        case Retried():
            text = "job_retrying id=%s queue=%s task=%s attempt=%d delay=%.1f error=%s"
            logger.warning(text, *where, outcome.delay, outcome.error, extra=job)
        case Postponed():
            text = "job_postponed id=%s queue=%s task=%s attempt=%d delay=%.1f whole_queue=%s whole_group=%s"
            logger.info(text, *where, outcome.delay, outcome.whole_queue, outcome.whole_group, extra=job)
        case HandedBack():
            logger.info(
                "job_handed_back id=%s queue=%s task=%s attempt=%d reason=%s", *where, outcome.reason, extra=job
            )
        case GivenUp():
            logger.info("job_cancelled id=%s queue=%s task=%s attempt=%d", *where, extra=job)


def _send_signals(queue: Queue, settlement: Settlement, state: State | None) -> None:
    outcome = _outcome(settlement, state)
    match outcome:
        case Completed():
            seconds = seconds_run(settlement)
            _send(signals.job_completed, queue, settlement, result=outcome.result, seconds=seconds)
        case Failed():
            _send(signals.job_failed, queue, settlement, error=outcome.error)
        case Retried():
            _send(signals.job_retrying, queue, settlement, error=outcome.error, delay=outcome.delay)
        case Postponed():
            _send(signals.job_retrying, queue, settlement, error=outcome.reason, delay=outcome.delay)
    _emit_huey_signals(queue, settlement.job, outcome)


def _send_error(queue: Queue, error: BaseException) -> None:
    try:
        signals.worker_error.send_robust(sender=queue, error=error)
    except BaseException:  # Django lets SystemExit pass; a receiver must not end the worker's thread
        logger.exception("signal_receiver_left signal=worker_error queue=%s", queue.name)


def _outcome(settlement: Settlement, state: State | None) -> Outcome:
    return GivenUp("") if state is State.CANCELLED else settlement.outcome


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


_HUEY_SIGNALS: dict[type, tuple[str, ...]] = {
    Completed: (huey_signals.SIGNAL_COMPLETE,),
    Failed: (huey_signals.SIGNAL_ERROR,),
    Retried: (huey_signals.SIGNAL_ERROR, huey_signals.SIGNAL_RETRYING),
    Postponed: (huey_signals.SIGNAL_RETRYING,),
    GivenUp: (huey_signals.SIGNAL_CANCELED,),
}


def _emit_huey_signals(queue: Queue, job: ClaimedJob, outcome: Outcome) -> None:
    emitted = _HUEY_SIGNALS.get(type(outcome), ())
    if not emitted or not any(queue._signal.receivers.values()):
        return
    task = queue.find_task(job.task)
    if task is None:
        return
    try:
        args, kwargs = task.signature.decode(job.message)
    except (MessageError, InvalidArguments):
        return
    huey_task = task.task_class(args, kwargs, id=str(job.id))
    error = (RuntimeError(outcome.error),) if isinstance(outcome, (Failed, Retried)) else ()
    for signal in emitted:
        queue._emit(signal, huey_task, *(error if signal == huey_signals.SIGNAL_ERROR else ()))


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


def seconds_run(settlement: Settlement) -> float:
    """How long the job has run; 0 where it did not."""
    if settlement.started_at is None or settlement.ended_at is None:
        return 0.0
    return max(0.0, (settlement.ended_at - settlement.started_at).total_seconds())
