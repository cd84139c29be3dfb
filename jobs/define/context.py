"""What is known while a task, a receiver or an announced event is at work: held in context variables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from ..broker.records import ClaimedJob
from ..errors import NotInTask

if TYPE_CHECKING:
    from .awaited import AwaitedJob


class RunningJob:
    """The job that the present code works on; what `current_job()` returns.

    `cancel_requested` turns True when somebody asks the running job to stop; the task may then raise `Cancelled`.
    """

    def __init__(
        self,
        claimed: ClaimedJob,
        still_mine: Callable[[], bool],
        deadline: float | None = None,
    ) -> None:
        self._claimed = claimed
        self.cancel_requested = claimed.cancel_requested
        self._still_mine = still_mine
        self._deadline = deadline
        self._after: tuple[AwaitedJob, ...] | None = None

    @property
    def id(self) -> UUID:
        """The job's id."""
        return self._claimed.id

    @property
    def run(self) -> int:
        """Which run this is: 1, and one more after each manual retry of the dead letter."""
        return self._claimed.run

    @property
    def attempt(self) -> int:
        """Which attempt of the run this is; the first is 1. Losses and interruptions do not count."""
        return self._claimed.attempts + 1

    @property
    def starts(self) -> int:
        """How often the run was started, this start included: also those that were lost or cut off."""
        return self._claimed.starts + 1

    @property
    def lost(self) -> int:
        """How many starts of the run ended with their worker."""
        return self._claimed.lost

    @property
    def key(self) -> str | None:
        """What `using(key=)` gave the job: no other live job of the queue has it."""
        return self._claimed.key

    @property
    def about(self) -> tuple[str, str] | None:
        """The object that `using(about=)` named, as (model label, primary key)."""
        return self._claimed.about

    @property
    def scope(self) -> str:
        """Whose the job is, as `JOBS["SCOPE"]` answered when it was enqueued."""
        return self._claimed.scope

    @property
    def after(self) -> tuple[AwaitedJob, ...]:
        """The jobs that this one has waited for, in the order of `after=`, each with its state, result and error."""
        if self._after is None:
            from .awaited import awaited_by

            self._after = awaited_by(self.id)
        return self._after

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._claimed.queue

    @property
    def task(self) -> str:
        """The task's name."""
        return self._claimed.task

    @property
    def event(self) -> str:
        """The name of the event that caused the job, or an empty string."""
        return self._claimed.event

    @property
    def event_id(self) -> UUID | None:
        """The id of the event that caused the job."""
        return self._claimed.event_id

    @property
    def idempotency_key(self) -> str:
        """The same text for every start of this job: give it to a provider so that an effect happens once."""
        return str(self._claimed.id)

    def still_mine(self) -> bool:
        """Ask the broker whether this worker still holds the job; False: stop, another may be running it."""
        return self._still_mine()

    @property
    def time_remaining(self) -> float:
        """Seconds until the task's timeout (never below 0; infinite without one). Cooperative: the task must look."""
        if self._deadline is None:
            return float("inf")
        return max(0.0, self._deadline - time.monotonic())


@dataclass(frozen=True, slots=True)
class EventMark:
    """The event under whose announcement jobs are enqueued; `scope` says whose it is."""

    name: str
    event_id: UUID
    scope: str = ""


@dataclass(frozen=True, slots=True)
class ReceiverMark:
    """The receiver at work, and the names of the tasks that it may start."""

    name: str
    starts: frozenset[str]


_job: ContextVar[RunningJob | None] = ContextVar("jobs_job", default=None)
_event: ContextVar[EventMark | None] = ContextVar("jobs_event", default=None)
_receiver: ContextVar[ReceiverMark | None] = ContextVar("jobs_receiver", default=None)

#: The jobs that this process runs now, for the thread that passes on cancel requests.
running: dict[UUID, RunningJob] = {}


def current_job() -> RunningJob:
    """The running job; raises `NotInTask` (a LookupError) outside a task."""
    job = _job.get()
    if job is None:
        raise NotInTask("current_job() was called outside a task; there is no job here")
    return job


def job_here() -> RunningJob | None:
    """The running job, or None outside a task."""
    return _job.get()


def event_here() -> EventMark | None:
    """The event under whose announcement this code runs."""
    return _event.get()


def receiver_here() -> ReceiverMark | None:
    """The receiver in which this code runs."""
    return _receiver.get()


def request_cancel(ids: Iterable[UUID]) -> None:
    """Set `cancel_requested` of those of the jobs that this process runs."""
    for job_id in ids:
        job = running.get(job_id)
        if job is not None:
            job.cancel_requested = True


def begin_work(job: RunningJob) -> None:
    """Make `job` the current one in a context of its own; events and receivers of the caller do not reach into it."""
    _job.set(job)
    _event.set(None)
    _receiver.set(None)
    running[job.id] = job


def end_work(job_id: UUID) -> None:
    """The job does not run any more; its context is left behind."""
    running.pop(job_id, None)


@contextmanager
def working_on(job: RunningJob) -> Iterator[None]:
    """Make `job` the current one until the end of the block, in the caller's own context."""
    tokens = (_job.set(job), _event.set(None), _receiver.set(None))
    running[job.id] = job
    try:
        yield
    finally:
        running.pop(job.id, None)
        _receiver.reset(tokens[2])
        _event.reset(tokens[1])
        _job.reset(tokens[0])


@contextmanager
def announcing(mark: EventMark) -> Iterator[None]:
    """Mark the jobs enqueued below with the event."""
    token = _event.set(mark)
    try:
        yield
    finally:
        _event.reset(token)


@contextmanager
def receiving(mark: ReceiverMark) -> Iterator[None]:
    """Hold the tasks enqueued below against what the receiver declared."""
    token = _receiver.set(mark)
    try:
        yield
    finally:
        _receiver.reset(token)
