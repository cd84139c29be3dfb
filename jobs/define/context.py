"""What is known while a task, a receiver or an announced event is at work: held in context variables."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload
from uuid import UUID

from .. import reasons
from ..broker.records import ClaimedJob
from ..errors import Cancelled, InvalidOption, NotInTask, Stopped
from .awaited import AwaitedJob, awaited_by, batch_of
from .desk import LONGEST_TEXT, Desk, LooseDesk, check_name, check_number
from .items import Items, in_transaction, name_of, stream_of
from .steps import Step
from .ticks import Tick, tick_of

T = TypeVar("T")
#: Steps and iterations of one job.
MOST_KEPT = 1_000

if TYPE_CHECKING:
    from .batch import Batch


class RunningJob:
    """The job that the present code works on; what `current_job()` returns.

    `cancel_requested` turns True when somebody asks the running job to stop; the task may then raise `Cancelled`.
    """

    def __init__(
        self,
        claimed: ClaimedJob,
        still_mine: Callable[[], bool],
        deadline: float | None = None,
        make_desk: Callable[[], Desk] = LooseDesk,
    ) -> None:
        self._claimed = claimed
        self.cancel_requested = claimed.cancel_requested
        self._still_mine = still_mine
        self._deadline = deadline
        self.thread = threading.get_ident()  # in which it was started
        self.told_late = False  # that it is past its time
        self.coroutine: Any = None  # of an `async def` task on the worker's loop
        self._after: tuple[AwaitedJob, ...] | None = None
        # a job that tells and keeps nothing pays for none of this
        self._make_desk = make_desk
        self._desk: Desk | None = None
        self._kept: dict[str, str] | None = None
        self._items: tuple[Items[Any], ...] = ()
        self._stopped: Stopped | None = None
        self.sealed = False  # True: what its steps keep is ciphertext

    @property
    def claimed(self) -> ClaimedJob:
        """The job as the broker handed it to this worker."""
        return self._claimed

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
            self._after = awaited_by(self.id)
        return self._after

    @property
    def batch(self) -> Batch | None:
        """The batch that the job is of, or whose end it follows; None: it is of none."""
        return batch_of(self.id)

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
    def tick(self) -> Tick | None:
        """Which tick of which schedule made the job; None for any other job."""
        return tick_of(self._claimed)

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
        return max(0.0, self.time_left)

    @property
    def time_left(self) -> float:
        """The same, below 0 for one that runs on."""
        return float("inf") if self._deadline is None else self._deadline - time.monotonic()

    def check_cancelled(self) -> None:
        """Raise `Cancelled` when somebody has asked the job to stop: no retry follows, the job ends as cancelled."""
        if self.cancel_requested:
            raise Cancelled(reasons.ON_REQUEST)

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Say how far the task is: `job.progress(40, 100, "rows")`; people see it within half a second.

        Costs next to nothing: of what is said in half a second, the last is written, and the very last always. A
        database that is away only makes it later. Raises `InvalidOption` for a wrong value.
        """
        check_number("done", done, lowest=0)
        if total is not None:
            check_number("total", total, lowest=0, more=True)
        if not isinstance(text, str):
            raise InvalidOption(f"progress(text={text!r}): expected a text")
        self.desk.progress(done, total, text[: 4 * LONGEST_TEXT])

    def log(self, text: object) -> None:
        """Log a line that stays with the job: in the admin, in `manage.py jobs logs`, `handle.logs()`.

        Of one start the last 1,000 lines and 64 KiB are kept. It is written off the task's way, whatever becomes of
        the task's transaction; a database that is away only makes it later.
        """
        self.desk.log(str(text))

    @overload
    def step(self, name: str) -> Step: ...

    @overload
    def step(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...

    def step(self, name: str, function: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Any:
        """A step that is done once in the job's life, its result kept over retries, also those of a person.

        `job.step("charge", charge, amount)` calls `charge(amount)` unless it was done, and returns the result, JSON
        values; `with job.step("charge") as step` is in `jobs.define.steps.Step`. The name says which step it is: in a
        loop, put the item into it. A start that ends between the work and the keeping does the work again: give
        `step.idempotency_key` to whom it is for. Raises `RetryLater` while nothing can be kept.
        """
        check_name("step", name)
        keys = f"{self.idempotency_key}:{name}", self._known(f"step:{name}")
        step = Step(name, *keys, self._keeper(f"step:{name}"), sealed=self.sealed)
        return step if function is None else step.run(function, *args, **kwargs)

    def iterate(
        self,
        source: Iterable[T],
        *,
        cursor: Callable[[T], Any] | None = None,
        name: str = "",
        every: float = 1.0,
        slice: float | None = None,
    ) -> Items[T]:
        """The items that are left: the next start of the job goes on behind the last finished one.

        A queryset comes by primary key, some rows at a time; a list or a range by position, so it must be the same at
        each start; anything else needs `cursor`, a function that makes of an item a number or text larger than that
        of the item before. Between two items the job stops by itself and burns no attempt: when its worker stops, and
        after `slice` seconds, to let others have their turn. Stops with `Cancelled` when that is asked. `every`: after
        how many seconds at the latest the cursor is kept (0: behind each item); see `jobs.define.items.Items.save` for
        exactly once. `name` tells several iterations of one task apart. Raises `InvalidOption`, `RetryLater`.
        """
        name = name or name_of(source)
        check_name("iterate", name)
        check_number("every", every, lowest=0)
        if slice is not None:
            check_number("slice", slice, lowest=0, more=True)
        if any(one.name == name for one in self._items):
            raise InvalidOption(f"iterate({name!r}) was called in this start already: give each its own name=")
        stream = stream_of(source, cursor, self._known(f"items:{name}"), name)
        keep = self._keeper(f"items:{name}")
        items: Items[T] = Items(self, name, stream, keep, every=every, slice=slice)
        self._items = (*self._items, items)
        return items

    @property
    def stop_requested(self) -> bool:
        """Whether this worker is about to stop; `iterate` looks by itself."""
        return _stopping.is_set()

    @property
    def desk(self) -> Desk:
        """Who takes what the job tells and keeps."""
        if self._desk is None:
            self._desk = self._make_desk()
        return self._desk

    @property
    def has_desk(self) -> bool:
        """Whether the job has told or kept anything."""
        return self._desk is not None

    def leave(self, stopped: Stopped) -> None:
        """Note that the task is about to be left: it has not ended, whatever its code makes of it."""
        self._stopped = stopped

    @property
    def stopped(self) -> Stopped | None:
        """Why the task is being left, if it is."""
        return self._stopped

    def check_left(self) -> None:
        """Raise `Stopped` again, if the task's code has caught it."""
        if self._stopped is not None:
            raise self._stopped

    def keep_cursors(self) -> None:
        """Keep what the iterations of a task have finished that failed, or goes back."""
        for one in self._items:
            one.save_finished()

    def _known(self, name: str) -> str | None:
        if self._kept is None:
            self._kept = dict(self.desk.open())
        if name not in self._kept and len(self._kept) >= MOST_KEPT:
            raise InvalidOption(f"{name}: a job keeps at most {MOST_KEPT:,} steps and iterations; use iterate()")
        return self._kept.get(name)

    def _keeper(self, name: str) -> Callable[..., None]:
        def keep(value: str, stopped: bool = False) -> None:
            self.desk.keep(name, value, stopped=stopped)
            if in_transaction():
                self._kept = None  # which may yet roll back: it is read again
            elif self._kept is not None:
                self._kept[name] = value

        return keep


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
#: Set when this process is about to stop.
_stopping = threading.Event()


def request_stop() -> None:
    """Let iterations of this process stop at their next item."""
    _stopping.set()


def current_job() -> RunningJob:
    """The running job; raises `NotInTask` (a LookupError) outside a task."""
    job = _job.get()
    if job is None:
        text = "current_job() was called outside a task; there is no job here (a bulk task is given its jobs in a list)"
        raise NotInTask(text)
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
    for job in filter(None, map(running.get, ids)):
        job.cancel_requested = True


def begin_work(job: RunningJob, *, alone: bool = True) -> None:
    """Make `job` the current one in a context of its own; events and receivers of the caller do not reach into it.

    Not `alone`: it is one of several, and none of them is the current one.
    """
    _job.set(job if alone else None)
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
