"""The runners of a worker: one for each slot that runs isolated jobs, and a spare, so that none waits for a start.

They are kept from job to job. One that was killed, or is worn, is replaced from the spare.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from .. import clock, reasons
from ..broker.records import ClaimedJob, HandedBack, Settlement
from ..define.context import RunningJob, working_on
from ..define.isolation import Isolation
from ..define.queue import Queue
from ..define.task import Task
from .exchanges import backoff
from .execution import broken_off
from .frames import Ended
from .isolated import Broken, Runner

logger = logging.getLogger("jobs.worker")

#: Of so many runners one after the other a job may find that they were dead, before it goes back.
TRIES = 3


class Runners(threading.Thread):
    """The runners of one queue. A thread of its own starts them, so that no job waits while another is started.

    `command` starts `run_huey` once more; `most_memory` (MiB, 0: none) is what a runner may have between two jobs.
    `keep_to` says for how many slots they are.
    """

    def __init__(self, queue: Queue, worker: UUID, command: Sequence[str], most_memory: int = 0) -> None:
        super().__init__(name="jobs-runners", daemon=True)
        self._queue = queue
        self._worker = worker
        self._command = list(command)
        self._most_memory = most_memory
        self._changed = threading.Condition()
        self._idle: deque[Runner] = deque()  # those that have worked on the right, fresh ones on the left
        self._busy: set[Runner] = set()
        self._leaving: list[Runner] = []
        self._wanted = 0  # by so many jobs that wait for one
        self._slots: float = math.inf
        self._failures = 0  # of starts, in a row
        self._failure = ""
        self._start_at = 0.0
        self._closing = False
        self._cut = False  # what runs was killed because this process ends

    def is_for(self, job: ClaimedJob) -> Task | None:
        """The task of a job that is to run in a runner; None for any other job."""
        task = self._queue.find_task(job.task)
        return task if task is not None and task.isolation is not None else None

    def execute(self, job: ClaimedJob, task: Task) -> Settlement:
        """Run one job in a runner and say how it ended; the runner does what `jobs.work.execution` does."""
        limits = task.isolation
        if limits is None:
            raise ValueError(f"task {task.name} is not isolated")
        seen = RunningJob(job, still_mine=lambda: True)
        for _ in range(TRIES):
            runner = self._take(limits)
            if isinstance(runner, HandedBack):
                return Settlement(job, runner)
            with working_on(seen):
                ended = runner.run(job, limits, seen)
            self._give_back(runner, is_well=isinstance(ended, Ended))
            if isinstance(ended, Ended):
                return ended.settlement(job)
            while self._cut:  # the job goes back with the end of this process, as if it ran in a thread
                threading.Event().wait(1.0)
            if isinstance(ended, Broken):
                text = "isolated_broken id=%s task=%s %s %s: %s"
                logger.warning(text, job.id, task.name, runner, type(ended.error).__name__, ended.error)
                return broken_off(job, self._queue, self._worker, task, ended.error, ended.trace, ended.began)
        return Settlement(job, self._no_runner("its process died before the job began"))

    def stack_of(self, job: UUID) -> str | None:
        """Where a job is that one of them runs; None: none does."""
        with self._changed:
            found = next((runner for runner in self._busy if runner.job == job), None)
        return None if found is None else found.stack()

    def keep_to(self, slots: int) -> None:
        """Let there be no more than one for each of so many slots, and the spare; what runs goes on to its end."""
        with self._changed:
            self._slots = slots
            self._let_go()

    def close(self) -> None:
        """End all of them, those that still run at once; returns when they are dead."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.join()
        with self._changed:
            self._cut = bool(self._busy)
            left = [*self._busy, *self._idle]
        for runner in left:
            runner.cut()

    def run(self) -> None:
        """The thread's life: it starts what is missing, and ends what is worn."""
        while True:
            with self._changed:
                while not (self._closing or self._leaving or self._is_short(clock.monotonic())):
                    wait = self._start_at - clock.monotonic() if len(self._idle) <= self._wanted else None
                    self._changed.wait(wait)
                leaving, self._leaving = self._leaving, []
                if self._closing:
                    leaving += self._idle
                    self._idle.clear()
                starts = not self._closing and self._is_short(clock.monotonic())
            if starts:
                self._start_one()
            _end(leaving)
            if self._closing and not self._leaving:
                return

    def _is_short(self, now: float) -> bool:
        """Whether there is less than one spare beside what jobs wait for."""
        return len(self._idle) <= self._wanted and now >= self._start_at

    def _start_one(self) -> None:
        try:
            runner = Runner(self._command, self._queue.name, self._worker)
        except Exception as error:  # whatever it is: jobs wait for this thread
            self._failed(f"{type(error).__name__}: {error}")
            return
        with self._changed:
            self._idle.appendleft(runner)
            self._changed.notify_all()

    def _take(self, limits: Isolation) -> Runner | HandedBack:
        """A runner that is ready, with nearly all the memory that the job may use."""
        while True:
            with self._changed:
                self._wanted += 1
                self._changed.notify_all()
                failures = self._failures
                while not (self._idle or self._closing or self._failures > failures):
                    self._changed.wait()
                self._wanted -= 1
                if self._closing:
                    return HandedBack(reasons.WORKER_STOPS)
                if not self._idle:
                    return self._no_runner(self._failure)
                runner = self._idle.pop()
                self._busy.add(runner)
                self._changed.notify_all()  # now a spare is missing
            if not runner.jobs and (failure := runner.get_ready()):
                self._give_back(runner, is_well=False)
                runner.kill()
                self._failed(failure)
                return self._no_runner(failure)
            if runner.is_alive and runner.has_room(limits.memory):
                self._failures = 0
                return runner
            self._give_back(runner, is_well=False)
            with self._changed:
                self._leaving.append(runner)
                self._changed.notify_all()

    def _give_back(self, runner: Runner, *, is_well: bool) -> None:
        worn = is_well and runner.is_worn(self._most_memory)
        with self._changed:
            self._busy.discard(runner)
            if worn:
                self._leaving.append(runner)
            elif is_well:
                self._idle.append(runner)
            self._let_go()
            self._changed.notify_all()

    def _let_go(self) -> None:
        """Of those that have nothing to do, the ones too many end, the fresh ones first; one stays for the next job."""
        while len(self._idle) > max(1 + self._wanted, self._slots + 1 - len(self._busy)):
            self._leaving.append(self._idle.popleft())
            self._changed.notify_all()

    def _failed(self, failure: str) -> None:
        with self._changed:
            self._failures += 1
            self._failure = failure
            self._start_at = clock.monotonic() + backoff(self._failures)
            self._changed.notify_all()
        logger.error("runner_not_started queue=%s: %s", self._queue.name, failure)

    def _no_runner(self, failure: str) -> HandedBack:
        return HandedBack(reasons.NO_RUNNER % {"error": failure}, trouble=True)


def _end(runners: Sequence[Runner]) -> None:
    """All at once, since each has some time to end by itself."""
    for end in (Runner.dismiss, Runner.end):
        for runner in runners:
            try:
                end(runner)
            except Exception:
                logger.exception("runner_not_ended %s", runner)
