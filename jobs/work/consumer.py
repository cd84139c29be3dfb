"""A worker process: Huey's consumer, whose threads claim, run and settle through one pool."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connections
from huey.consumer import Consumer, ConsumerStopped, Scheduler, Worker

from .. import reasons, signals
from ..broker.contract import Broker
from ..broker.records import ClaimedJob, Exchange, Failed, Settled, Settlement
from ..define.queue import Queue
from ..errors import BrokerAway
from .announce import announce
from .execution import execute
from .forks import call
from .pool import Pool

logger = logging.getLogger("jobs.worker")

#: How long, in seconds, a child that was started for one job waits for it: another machine may have been faster.
ALONE_PATIENCE = 5.0


class QueueWorker(Worker):
    """One thread of the pool; Huey's start-up and shutdown hooks run in it."""

    def __init__(self, pool: Pool, **options: Any) -> None:
        super().__init__(**options)
        self.pool = pool

    def loop(self, now: Any = None) -> None:
        """Work until the pool is closed and drained."""
        self.pool.work()
        self.stop_flag.set()

    def shutdown(self) -> None:
        """Run Huey's hooks and close this thread's database connections."""
        super().shutdown()
        connections.close_all()


class NoScheduler(Scheduler):
    """Huey's scheduler thread, asleep: becoming due is the broker's business, ticks are the keeper's."""

    def loop(self, now: Any = None) -> None:
        """Sleep until the process stops."""
        self.stop_flag.wait()


class QueueConsumer(Consumer):
    """Claims and runs the jobs of one queue until it is told to stop.

    With `alone=True` it claims one job that must run alone, and then stops.
    """

    worker_class = QueueWorker
    scheduler_class = NoScheduler

    def __init__(
        self, queue: Queue, broker: Broker, worker_id: UUID, *, threads: int, grace: float, alone: bool = False
    ) -> None:
        self.queue = queue
        self.broker = broker
        self.worker_id = worker_id
        self.alone = alone
        self._number = 0  # of the last exchange that the broker answered
        self.pool = Pool(
            self._exchange,
            self._execute,
            settled=self._settled,
            broken=self._broken,
            budget=1 if alone else None,
        )
        super().__init__(
            queue, workers=1 if alone else threads, periodic=False, shutdown_timeout=grace, health_check_interval=10
        )

    def loop(self, health_check_ts: float | None = None) -> float | None:
        """Huey's main loop, which sleeps instead of looking ten times a second."""
        if not self.stop_flag.wait(ALONE_PATIENCE if self.alone else self._health_check_interval):
            if not self.alone:
                self.check_worker_health()
            elif not self.pool.claimed_all:
                self.pool.close()
            return health_check_ts
        self.stop(graceful=True)
        raise ConsumerStopped

    def drain(self) -> None:
        """Claim nothing more and stop when what runs is finished, or when the grace time is over."""
        self.pool.close()
        self.stop_flag.set()

    @property
    def drained(self) -> bool:
        """Whether every thread has left."""
        return not any(thread.is_alive() for _, thread in self.worker_threads)

    def _create_worker(self) -> QueueWorker:
        return QueueWorker(
            self.pool,
            huey=self.huey,
            stop_flag=self.stop_flag,
            default_delay=self.default_delay,
            max_delay=self.max_delay,
            backoff=self.backoff,
        )

    def _set_signal_handlers(self) -> None:
        """The process has one set of handlers, made before this object (see `jobs.work.link`)."""

    def _execute(self, job: ClaimedJob) -> Settlement | None:
        return call(execute, job, self.queue, self.worker_id)

    def _exchange(self, settlements: Sequence[Settlement], wanted: int) -> Exchange:
        try:
            return self._numbered(settlements, wanted)
        except BrokerAway:
            raise
        except Exception:
            if not settlements:
                raise
            logger.exception("settle_failed queue=%s jobs=%d: one by one now", self.queue.name, len(settlements))
            return Exchange(settled=tuple(self._settle_one(settlement) for settlement in settlements), wait=0.0)

    def _numbered(self, settlements: Sequence[Settlement], wanted: int) -> Exchange:
        """Make an exchange under the next number; the same one again, if the last answer never came."""
        number, policy = self._number + 1, self.queue.policy
        answer = self.broker.exchange(self.worker_id, policy, settlements, wanted, number=number, alone=self.alone)
        self._number = number
        return answer

    def _settle_one(self, settlement: Settlement) -> Settled:
        """Settle one job; an outcome that the broker cannot write becomes a dead letter that says so."""
        try:
            return self._numbered([settlement], 0).settled[0]
        except BrokerAway:
            raise
        except Exception as error:
            text = reasons.NOT_STORED % {"error": f"{type(error).__name__}: {ascii(str(error))}"}
            failed = Settlement(settlement.job, Failed(text), settlement.started_at, settlement.ended_at)
            return self._numbered([failed], 0).settled[0]

    def _settled(self, settlement: Settlement, settled: Settled) -> None:
        if settled.counted:
            call(announce, self.queue, settlement)
        else:
            job = settlement.job
            logger.warning("settle_refused id=%s queue=%s: the lease was lost", job.id, job.queue)

    def _broken(self, error: Exception) -> None:
        logger.error("broker_failed queue=%s pid=%d %s: %s", self.queue.name, os.getpid(), type(error).__name__, error)
        signals.worker_error.send_robust(sender=self.queue, error=error)
