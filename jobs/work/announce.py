"""What is said of a job that the broker has settled: its log line, and the signals that others listen to."""

from __future__ import annotations

import logging
from typing import Any

from huey import signals as huey_signals

from .. import signals
from ..broker.records import Completed, Failed, GivenUp, HandedBack, Postponed, Retried, Settlement
from ..define.message import MessageError
from ..define.queue import Queue
from ..errors import InvalidArguments
from .snapshot import snapshot

logger = logging.getLogger("jobs.execution")


def announce(queue: Queue, settlement: Settlement) -> None:
    """Send the signals and the log line of a settlement that the broker accepted."""
    job, outcome = settlement.job, settlement.outcome
    seconds = _seconds_run(settlement)
    where = f"id={job.id} queue={job.queue} task={job.task} attempt={job.attempts + 1}"
    match outcome:
        case Completed():
            logger.info("job_completed %s seconds=%.3f", where, seconds)
            _send(signals.job_completed, queue, settlement, result=outcome.result, seconds=seconds)
        case Failed():
            logger.error("job_failed %s error=%s", where, outcome.error)
            _send(signals.job_failed, queue, settlement, error=outcome.error)
        case Retried():
            logger.warning("job_retrying %s delay=%.1f error=%s", where, outcome.delay, outcome.error)
            _send(signals.job_retrying, queue, settlement, error=outcome.error, delay=outcome.delay)
        case Postponed():
            logger.info("job_postponed %s delay=%.1f whole_queue=%s", where, outcome.delay, outcome.whole_queue)
            _send(signals.job_retrying, queue, settlement, error=outcome.reason, delay=outcome.delay)
        case HandedBack():
            logger.info("job_handed_back %s reason=%s", where, outcome.reason)
        case GivenUp():
            logger.info("job_cancelled %s", where)
    _emit_huey_signal(queue, settlement)


_HUEY_SIGNALS: dict[type, str] = {
    Completed: huey_signals.SIGNAL_COMPLETE,
    Failed: huey_signals.SIGNAL_ERROR,
    Retried: huey_signals.SIGNAL_RETRYING,
    Postponed: huey_signals.SIGNAL_RETRYING,
    GivenUp: huey_signals.SIGNAL_CANCELED,
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


def _send(signal: Any, queue: Queue, settlement: Settlement, **values: Any) -> None:
    if not signal.receivers:
        return
    values["job"] = snapshot(settlement)
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
