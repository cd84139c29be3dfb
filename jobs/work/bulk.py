"""The jobs that one call of a bulk task takes: from their messages to the outcome of each. Never raises."""

from __future__ import annotations

import contextvars
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .. import reasons
from ..broker.records import ClaimedJob, Completed, Failed, HandedBack, Outcome, Retried, Settlement
from ..define.bulk import BulkJob
from ..define.context import begin_work, end_work
from ..define.masks import Mask
from ..define.queue import Queue
from ..define.task import Task
from ..errors import Cancelled
from ..faults import point
from ..tracing import attempted_together
from . import event_loop
from .databases import look_after, look_before
from .error_texts import line_of, trace_of
from .forks import call
from .huey_words import is_seen
from .start import Start, Understood

if TYPE_CHECKING:
    from .breakers import Breakers


def execute_bulk(
    jobs: Sequence[ClaimedJob], queue: Queue, worker_id: UUID, breakers: Breakers | None = None
) -> deque[Settlement]:
    """Run the jobs in one call of their task's function and say how each ended; see `jobs.work.execution.execute`."""
    callers = look_before()
    course = _Course([_One(Start(job, queue, worker_id)) for job in jobs], queue)
    try:
        contextvars.copy_context().run(course.run)
    finally:
        look_after(jobs[0], callers)
    settlements = deque(one.settlement() for one in course.all)
    if breakers is not None:
        for one in settlements:
            breakers.ended(one.job, one)
    return settlements


class _One:
    """One of the jobs. `job`: as the function is given it; `hooked`: Huey's own object, if anybody sees that."""

    __slots__ = ("hooked", "job", "outcome", "start")

    def __init__(self, start: Start) -> None:
        self.start = start
        self.job: BulkJob[Any] | None = None
        self.hooked: Any = None
        self.outcome: Outcome | None = None

    def settlement(self) -> Settlement:
        return self.start.settlement(self.outcome or HandedBack(reasons.WORKER_STOPS))


class _Course:
    """The course of one call."""

    def __init__(self, ones: Sequence[_One], queue: Queue) -> None:
        self.all = ones
        self._queue = queue

    def run(self) -> None:
        try:
            attempted_together([one.start.claimed for one in self.all], self._run)
        except BaseException as error:  # the engine's own mistake must not take the worker's thread along
            self.all[0].start.log_error("execution_broke", error)
            policy = self._queue.policy
            for one in self.all:
                one.outcome = one.outcome or one.start.failure(error, policy.attempts, policy.backoff)
        finally:
            for one in self.all:
                self._queue._tasks_in_flight.discard(one.hooked)

    def _run(self) -> list[Outcome | None]:
        found = [(one, meant) for one in self.all if (meant := self._understand(one)) is not None]
        if ready := [one for one, meant in found if self._is_ready(one, meant)]:
            self._call(found[0][1].task, ready)
        return [one.outcome for one in self.all]

    def _understand(self, one: _One) -> Understood | None:
        """What a job's message means; None: it does not start."""
        found = one.start.understand()
        if isinstance(found, Understood):
            return found
        one.outcome = found
        return None

    def _is_ready(self, one: _One, found: Understood) -> bool:
        """Whether a job may start, for Huey's hooks as well, and has its arguments."""
        start, (task, args, kwargs) = one.start, found
        assert task.arguments is not None, task
        if is_seen(self._queue, task):
            one.hooked = task.task_class(args, kwargs, id=str(start.claimed.id), timeout=task.policy.timeout)
            if (refused := start.meet_hooks(one.hooked)) is not None:
                one.outcome = refused
                return False
        try:
            values = task.arguments(*args, **kwargs)
        except Exception as error:  # of the dataclass's own __post_init__
            one.outcome = start.failure(error, task.policy.attempts, task.policy.backoff)
            return False
        one.job = BulkJob(values, start.claimed, start.still_mine, make_desk=start.make_desk)
        one.job.sealed = bool(task.encrypted)
        return True

    def _call(self, task: Task, ones: Sequence[_One]) -> None:
        mask = Mask.of_all([one.start.mask for one in ones])  # what one raises may tell of another
        deadline = time.monotonic() + task.policy.timeout if task.policy.timeout else None
        failure: BaseException | None = None
        jobs: list[BulkJob[Any]] = []
        for one in ones:
            one.start.mask = mask
            if one.job is not None:
                one.job.set_deadline(deadline, tells=not jobs)
                begin_work(one.job, alone=False)
                jobs.append(one.job)
        started: list[_One] = []
        try:
            point("execute.before")
            for one in ones:
                if one.start.too_late_for_its_pace():
                    one.outcome = HandedBack(reasons.PACE)
                else:
                    one.start.started_at = one.start.now()
                    started.append(one)
            if started:
                value = call(partial(task.func, [one.job for one in started]))
                if type(value) is CoroutineType:
                    event_loop.run(value, jobs[0].time_remaining)
            point("execute.after")
        except BaseException as error:  # as in `jobs.work.execution`
            failure = error
        finally:
            for one in ones:
                end_work(one.start.claimed.id)
        told = None if failure is None else (line_of(failure, mask), trace_of(failure, mask))
        if failure is not None and started and all(one.job is not None and one.job.has_ended for one in started):
            started[0].start.log_error("after_end_failed", failure)  # no job is left to tell of it
        is_counted = False
        for one in started:
            if self._end(task, one, failure, told) is failure and isinstance(one.outcome, (Failed, Retried)):
                if is_counted:  # for a breaker it is one failure
                    one.outcome = replace(one.outcome, counts_for=())
                is_counted = True

    def _end(
        self, task: Task, one: _One, failure: BaseException | None, told: tuple[str, str] | None
    ) -> BaseException | None:
        start, job = one.start, one.job
        assert job is not None
        error, value = (job.error, job.value) if job.has_ended else (failure, None)
        if error is not failure:
            told = None
        if job.has_desk:
            start.end_desk(job)
        if error is None:
            try:
                one.outcome = Completed(start.result(task, value))
            except Exception as unfit:
                error, told = unfit, None
        if isinstance(error, Cancelled) and error is failure and not job.cancel_requested and self._is_another_asked():
            one.outcome = HandedBack(reasons.ANOTHER_CANCELLED)
        elif error is not None:
            one.outcome = start.failure(error, task.policy.attempts, task.policy.backoff, told)
        if one.outcome is not None:
            task.ended(one.outcome, error)
        if one.hooked is not None:
            self._queue._run_post_execute(one.hooked, value, error)
        return error

    def _is_another_asked(self) -> bool:
        """Whether the function was left because another one of its jobs was to stop."""
        return any(one.job is not None and one.job.cancel_requested for one in self.all)
