"""One start of a claimed job: from its message to a call of its task, and from how that ended to an outcome."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import InterfaceError, OperationalError
from huey import signals as huey_signals
from huey.exceptions import CancelExecution, RetryTask

from .. import clock, reasons
from ..broker import get_broker
from ..broker.records import ClaimedJob, Failed, GivenUp, HandedBack, Outcome, Postponed, Retried, Settlement
from ..conf import jobs_settings
from ..define.awaited import awaited_by
from ..define.context import RunningJob
from ..define.masks import NO_MASK, Mask
from ..define.message import IncompleteMessage, MessageError
from ..define.passed import NothingToTake, complete_message
from ..define.queue import Queue
from ..define.results import encode_result
from ..define.task import Task
from ..errors import Cancelled, InvalidArguments, PermanentError, RetryLater, Stopped
from ..history.inside import stops_of
from ..origin import origin_of, with_origin
from ..policy import GIVE_UP, Backoff, Custom, GiveUp
from ..visible import visible
from .databases import connect_first, failure_to_connect
from .error_texts import line_of, trace_of
from .huey_words import huey_delay
from .reports import JobDesk

logger = logging.getLogger("jobs.execution")

#: Starts of one run after which a job that did not end by itself is a dead letter (DESIGN G12).
MAX_STARTS = 100
#: Seconds until a job that no code here understands is due again (DESIGN G11).
UNKNOWN_DELAY = 5.0
#: Margin of the pace guard, in seconds, for the way from the last look at the clock to the task's first line.
START_MARGIN = 0.005


class Understood(NamedTuple):
    """The call of a task that a job's message means."""

    task: Task
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Start:
    """One start of a job: whether it may be, and what its end means."""

    __slots__ = ("claimed", "mask", "queue", "started_at", "worker_id")

    def __init__(self, claimed: ClaimedJob, queue: Queue, worker_id: UUID) -> None:
        self.claimed = claimed
        self.queue = queue
        self.worker_id = worker_id
        self.started_at: datetime | None = None
        self.mask = NO_MASK

    def understand(self) -> Outcome | Understood:
        """The call that the job's message means; or how the job ends that is not to start."""
        claimed = self.claimed
        if claimed.cancel_requested:
            return GivenUp(reasons.BEFORE_START)
        task = self.queue.find_task(claimed.task)
        if task is None:
            return self._not_understood(reasons.UNKNOWN_TASK % {"task": claimed.task})
        try:
            args, kwargs = self._arguments(task)
        except (MessageError, InvalidArguments) as error:
            return self._not_understood(str(error))
        except NothingToTake as error:
            return Failed(str(error), attempted=False)
        except (OperationalError, InterfaceError) as error:
            return self.no_connection(error)
        if self._has_started_too_often(claimed.starts):
            return Failed(reasons.STARTED_TOO_OFTEN % {"count": MAX_STARTS}, attempted=False)
        if (away := connect_first()) is not None:
            return self.no_connection(away)
        if task.personal:
            self.mask = Mask(task.signature, self.claimed.message)
        return Understood(task, args, kwargs)

    def meet_hooks(self, huey_task: Any) -> Outcome | None:
        """Let Huey's hooks and receivers see the job before it starts; or how it ends that a hook refuses."""
        try:
            self.queue._run_pre_execute(huey_task)
        except CancelExecution as error:
            return GivenUp(reasons.REFUSED_BY_HOOK % {"error": self.line(error)})
        self.queue._emit(huey_signals.SIGNAL_EXECUTING, huey_task)
        self.queue._tasks_in_flight.add(huey_task)
        return None

    def _arguments(self, task: Task) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            return task.signature.decode(self.claimed.message)
        except IncompleteMessage:
            message = complete_message(self.claimed.message, awaited_by(self.claimed.id))
            message = with_origin(message, origin_of(self.claimed.message))
            self.claimed = msgspec.structs.replace(self.claimed, message=message)
            return task.signature.decode(message)

    def result(self, task: Task, value: Any) -> str | None:
        """What the function returned, as it is stored; raises `InvalidArguments`."""
        return encode_result(task.name, value, self.mask, sealed=bool(task.encrypted))

    def failure(
        self, error: BaseException, attempts: int, backoff: Backoff, told: tuple[str, str] | None = None
    ) -> Outcome:
        """How the job ends whose function raised this; `told`: its line and traceback, if they are known."""
        if isinstance(error, Stopped):
            return HandedBack(error.reason, delay=error.delay)
        text, trace = told or (self.line(error), trace_of(error, self.mask))
        away = failure_to_connect(error)
        if away is not None and not isinstance(error, (Cancelled, RetryLater)):
            return self.no_connection(away)
        if isinstance(error, Cancelled):
            return GivenUp(text)
        if isinstance(error, CancelExecution) and not error.retry:
            return GivenUp(text)
        if isinstance(error, RetryTask):
            error = RetryLater(huey_delay(error, self.now()), reason=text)
        if isinstance(error, RetryLater):
            if self._has_started_too_often(self.claimed.starts + 1):
                return Failed(reasons.ASKS_TOO_OFTEN % {"count": MAX_STARTS, "error": text}, trace)
            return Postponed(error.seconds, text, error.whole_queue, error.whole_group)
        attempt, counts_for = self.claimed.attempts + 1, self._counts_for(error)
        if isinstance(error, (PermanentError, InvalidArguments)):
            return Failed(text, trace, counts_for=counts_for)
        wait = GIVE_UP if attempt >= attempts else self._wait(backoff, error, attempt)
        if wait is GIVE_UP:
            return Failed(text, trace, counts_for=counts_for)
        return Retried(wait, text, trace, counts_for)

    def _counts_for(self, error: BaseException) -> tuple[str, ...]:
        """The breakers of the task that count this failure."""
        task = self.queue.find_task(self.claimed.task)
        return tuple(one.name for one in task.breakers if one.counts(error)) if task is not None else ()

    def _wait(self, backoff: Backoff, error: BaseException, attempt: int) -> float | GiveUp:
        """Seconds to the next attempt; a function of the project's own that fails is as if it had said nothing."""
        if isinstance(backoff, Custom):
            try:
                return backoff.wait(error, attempt)
            except BaseException as wrong:
                self.log_error("backoff_failed", wrong)
        return backoff.delay(attempt)

    def _has_started_too_often(self, starts: int) -> bool:
        """Whether so many starts came to nothing; those that went on for their slice of time do not count."""
        if starts < MAX_STARTS:
            return False
        try:
            return starts - stops_of(self.claimed.id, self.claimed.run) >= MAX_STARTS
        except (OperationalError, InterfaceError):  # once the database answers, it is looked at again
            return False

    def make_desk(self) -> JobDesk:
        """Who takes what the job tells and keeps."""
        return JobDesk(self.claimed, self.mask, self.still_mine)

    def end_desk(self, job: RunningJob) -> None:
        """The job tells and keeps nothing more."""
        if isinstance(desk := job.desk, JobDesk):
            desk.end()

    def _not_understood(self, text: str) -> Outcome:
        since = self.claimed.unknown_since
        waited = (self.claimed.claimed_at - since).total_seconds() if since else 0.0
        if since is not None and waited >= jobs_settings().unknown_grace:
            told = reasons.NOT_UNDERSTOOD % {"seconds": f"{waited:.0f}", "error": text}
            return Failed(told, attempted=False)
        return HandedBack(text, delay=UNKNOWN_DELAY, unknown=True)

    def no_connection(self, error: BaseException) -> Outcome:
        """The worker's own trouble, of which the job must not suffer."""
        return HandedBack(reasons.NO_CONNECTION % {"error": self.line(error)}, trouble=True)

    def too_late_for_its_pace(self) -> bool:
        """Whether its grant does not cover a start now (G7)."""
        start_by = self.claimed.start_by
        return start_by is not None and clock.monotonic() > start_by - START_MARGIN

    def still_mine(self) -> bool:
        """Whether this worker still holds the job."""
        return get_broker().holds(self.queue.name, self.claimed.id, self.claimed.token)

    def settlement(self, outcome: Outcome) -> Settlement:
        """The job and how it ended, now."""
        if isinstance(outcome, Failed):
            outcome = replace(outcome, release=jobs_settings().release)
        return Settlement(self.claimed, outcome, self.started_at, self.now())

    def now(self) -> datetime:
        """The broker's time: this machine's clock may be wrong."""
        return self.claimed.claimed_at + timedelta(0, 0, int(self.claimed.seconds_since_claim() * 1_000_000))

    def line(self, error: BaseException) -> str:
        """The error in one line."""
        return line_of(error, self.mask)

    def log_error(self, event: str, error: BaseException) -> None:
        """Log an error that is not the task's."""
        trace = visible(trace_of(error, self.mask))
        logger.error("%s id=%s task=%s traceback=%s", event, self.claimed.id, self.claimed.task, trace)
