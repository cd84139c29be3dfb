"""A worker process: Huey's consumer, whose threads claim, run and settle through one pool."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import connections
from huey.consumer import Consumer, ConsumerStopped, Scheduler, Worker, WorkerRecycle

from ..broker.contract import Broker
from ..broker.records import ClaimedJob, Settled, Settlement
from ..define.queue import Queue
from ..policy import AS_THE_CODE_SAYS, QueueLimits
from .announce import Announcer
from .breakers import Breakers
from .execution import Tell
from .pool import Pool
from .runners import Runners

logger = logging.getLogger("jobs.worker")

#: How long, in seconds, a child that was started for one job waits for it: another machine may have been faster.
ALONE_PATIENCE = 5.0


class QueueWorker(Worker):
    """One thread of the pool; Huey's start-up and shutdown hooks run in it."""

    def __init__(self, pool: Pool, **options: Any) -> None:
        super().__init__(**options)
        self.pool = pool
        self.has_left = False  # there were more threads than places

    def loop(self, now: Any = None) -> None:
        """Work until the pool is closed and drained, or until there are more threads than places."""
        is_over = True
        try:
            is_over = self.pool.work()
        finally:
            if is_over:
                self.stop_flag.set()
        if not is_over:
            self.has_left = True
            raise WorkerRecycle

    def shutdown(self) -> None:
        """Run Huey's hooks and close this thread's database connections."""
        super().shutdown()
        connections.close_all()


class AnnouncerThread(Scheduler):
    """Huey's scheduler thread, which announces instead: becoming due is the broker's business, ticks the keeper's."""

    def __init__(self, announcer: Announcer, **options: Any) -> None:
        super().__init__(**options)
        self.announcer = announcer

    def loop(self, now: Any = None) -> None:
        """Announce until the process stops."""
        self.announcer.run()
        self.stop_flag.set()

    def shutdown(self) -> None:
        """Close what receivers have opened."""
        connections.close_all()


class QueueConsumer(Consumer):
    """Claims and runs the jobs of one queue until it is told to stop.

    With `alone=True` it claims jobs that must run alone, one by one, and stops behind one that ended badly, or when
    there was none for a while. `runners` run its isolated jobs; `breakers` are those of its tasks.
    """

    def __init__(
        self,
        queue: Queue,
        broker: Broker,
        worker_id: UUID,
        *,
        threads: int,
        grace: float,
        alone: bool = False,
        runners: Runners | None = None,
        limits: QueueLimits = AS_THE_CODE_SAYS,
        breakers: Breakers | None = None,
    ) -> None:
        self.alone = alone
        # as the command line or the code says
        self._policy = replace(queue.policy, concurrency=threads)
        self._starting = threading.Lock()
        self._grace = grace
        self.broken = False  # the process is to be replaced
        self.has_many_late = False  # as many places were filled anew as there were
        self._runners = runners
        self._breakers = breakers
        held = limits.over(self._policy)
        threads = 1 if alone else held.concurrency
        run: Callable[[ClaimedJob], Settlement | None] | None = self._run_job if runners is not None else None
        run = self._run_and_count if breakers is not None else run
        self.pool = Pool(queue, broker, worker_id, alone=alone, threads=threads, run=run, breakers=breakers)
        self.pool.keep_to(threads, paced=held.rate_limit is not None)
        if runners is not None:
            runners.keep_to(threads)
        super().__init__(queue, workers=threads, periodic=False, shutdown_timeout=grace, health_check_interval=10)

    def run(self) -> None:
        """Work until told to stop, or until something of the engine breaks (see `broken`)."""
        try:
            super().run()
        except Exception:  # a thread that could not be started
            logger.exception("worker_broke queue=%s", self.huey.name)
            self.broken = True
            self.drain()
            self._join_workers()

    def loop(self, health_check_ts: float | None = None) -> float | None:
        """Huey's main loop, which sleeps instead of looking ten times a second."""
        if not self.stop_flag.wait(ALONE_PATIENCE if self.alone else self._health_check_interval):
            if not self.alone:
                self.check_worker_health()
            elif self.pool.idle_for(ALONE_PATIENCE) and not (self._breakers and self._breakers.are_open):
                self.pool.close()  # while one holds the job back, the supervisor would start another process each time
            return health_check_ts
        self.stop(graceful=True)
        self.broken = self.pool.broken
        raise ConsumerStopped

    def hold(self, limits: QueueLimits) -> None:
        """Go by these limits from now on: begin further threads, or let some leave when they have nothing to do."""
        held = limits.over(self._policy)
        with self._starting:
            self.workers = 1 if self.alone else held.concurrency
            self._start_threads(self.pool.keep_to(self.workers, paced=held.rate_limit is not None))
            if self._runners is not None:
                self._runners.keep_to(self.workers)
        logger.info("limits_changed queue=%s pid=%d threads=%d", held.name, os.getpid(), self.workers)

    def fill_place(self, job: UUID) -> None:
        """Start a thread in the place of one whose job runs on past its time; at most as many as there were."""
        with self._starting:
            if self.alone:
                return
            if len(self.pool.places.late) < self.workers:
                self._start_threads(int(self.pool.fill_place(job)))
            # also where there are fewer places now than were filled
            self.has_many_late = self.has_many_late or len(self.pool.places.late) >= self.workers

    def check_worker_health(self) -> bool:
        """Huey's look at its threads, of which none is started meanwhile; those that left are not missed."""
        with self._starting:
            self._start_threads(0)
            return super().check_worker_health()

    def _start_threads(self, number: int) -> None:
        self.worker_threads = [one for one in self.worker_threads if not getattr(one[0], "has_left", False)]
        for left in range(number, 0, -1):
            worker = self._create_worker()
            thread = self._create_process(worker, f"Worker-{len(self.worker_threads) + 1}")
            try:
                thread.start()
            except Exception:  # the system has no room for it
                self.pool.expect_fewer(left)
                raise
            self.worker_threads.append((worker, thread))

    def wait_for_all(self) -> None:
        """Let what runs end, however long it takes: the supervisor says when it is over."""
        self._grace = threading.TIMEOUT_MAX

    def drain(self) -> None:
        """Claim nothing more and stop when what runs is finished, or when the grace time is over."""
        self.pool.close()
        self.stop_flag.set()

    @property
    def drained(self) -> bool:
        """Whether every thread has left."""
        return not any(thread.is_alive() for _, thread in self.worker_threads)

    def _join_workers(self) -> bool:
        """Wait for the threads, and then for the last announcements, as long as the grace time allows."""
        deadline = time.monotonic() + self._grace
        for thread in [thread for _, thread in self.worker_threads if thread.ident is not None]:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.pool.announcer.end()
        if self.scheduler.ident is not None:
            self.scheduler.join(max(0.0, deadline - time.monotonic()))
        return self.drained and not self.scheduler.is_alive()

    @property
    def has_room(self) -> bool:
        """Whether the pool could take another job now."""
        return not self.stop_flag.is_set() and self.pool.held < self.workers

    def _run_job(self, job: ClaimedJob, tell: Tell | None = None) -> Settlement | None:
        if self._runners is not None and (task := self._runners.is_for(job)) is not None:
            return self._runners.execute(job, task)
        return self.pool.execute(job, tell)

    def _run_and_count(self, job: ClaimedJob) -> Settlement | None:
        assert self._breakers is not None
        ended: Settlement | None = None

        def tell(settlement: Settlement, settled: Settled) -> None:
            nonlocal ended
            ended = settlement
            self.pool.announcer.put(settlement, settled)

        try:
            settlement = self._run_job(job, tell)
            ended = settlement or ended
        finally:
            self._breakers.ended(job, ended)
        return settlement

    def _create_worker(self) -> QueueWorker:
        return QueueWorker(
            self.pool,
            huey=self.huey,
            stop_flag=self.stop_flag,
            default_delay=self.default_delay,
            max_delay=self.max_delay,
            backoff=self.backoff,
        )

    def _create_scheduler(self) -> AnnouncerThread:
        return AnnouncerThread(
            self.pool.announcer,
            huey=self.huey,
            stop_flag=self.stop_flag,
            interval=60,
            periodic=False,
        )

    def _set_signal_handlers(self) -> None:
        """The process has one set of handlers, made before this object (see `jobs.work.link`)."""
