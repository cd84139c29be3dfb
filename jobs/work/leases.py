"""Who keeps the leases: the supervisor for all its children, and a child for itself while it works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import connections

from .. import clock
from ..broker.contract import Broker
from ..broker.records import WorkerRecord
from ..define.context import request_cancel

logger = logging.getLogger("jobs.worker")

#: Seconds between two looks for jobs that must run alone, and between two renewals of a child that works.
LOOK_EVERY = 1.0
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0


class Leases(threading.Thread):
    """The supervisor's voice to the broker: registers its children, renews their leases, and ends them.

    Speaks in a thread of its own, because a busy database must not make the supervisor deaf. `wake` is called when
    `lost` or `alone` has changed.
    """

    def __init__(self, broker: Broker, queues: Sequence[str], lease: float, wake: Callable[[], None]) -> None:
        super().__init__(name="leases", daemon=True)
        self.lost: frozenset[UUID] = frozenset()  # workers that no longer hold a lease
        self.alone: frozenset[str] = frozenset()  # queues with a job that must run alone
        self.looked_at = 0.0  # when `alone` was read
        self._broker = broker
        self._queues = queues
        self._lease = lease
        self._wake = wake
        self._changed = threading.Condition()
        self._records: dict[UUID, WorkerRecord] = {}
        self._orders: list[Callable[[], object]] = []
        self._ending = False
        self._renew_at = 0.0
        self._failures = 0

    def register(self, record: WorkerRecord) -> None:
        """Make a process known and keep its lease from now on."""
        with self._changed:
            self._records[record.id] = record
            self._orders.append(lambda: self._broker.register(record, self._lease))
            self._changed.notify()

    def release(self, worker: WorkerRecord, *, lost: bool) -> None:
        """End the lease of a process that is dead and give its jobs back."""
        with self._changed:
            self._records.pop(worker.id, None)
            self._orders.append(lambda: self._release(worker, lost))
            self._changed.notify()

    def close(self, limit: float) -> None:
        """Finish what was ordered, for at most `limit` seconds; a lease that was not released ends by itself."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self.join(limit)

    def run(self) -> None:
        """The thread's life."""
        while True:
            with self._changed:
                if pause := self._pause():
                    self._changed.wait(pause)
                if self._ending and not self._orders:
                    break
            try:
                self._carry_out_orders()
                self._renew()
                self._look()
            except Exception as error:
                self._failures += 1
                if self._failures == 1:
                    logger.error("leases_not_renewed %s: %s", type(error).__name__, error)
            else:
                if self._failures:
                    logger.warning("leases_renewed_again failures=%d", self._failures)
                self._failures = 0
        connections.close_all()

    def _pause(self) -> float:
        if self._failures:
            return FIRST_BACKOFF if self._ending else min(FIRST_BACKOFF * 2 ** min(self._failures, 10), LONGEST_BACKOFF)
        return 0.0 if self._orders or self._ending else min(LOOK_EVERY, self._lease / 3)

    def _carry_out_orders(self) -> None:
        while self._orders:
            self._orders[0]()
            with self._changed:
                self._orders.pop(0)

    def _renew(self) -> None:
        now = clock.monotonic()
        if now < self._renew_at:
            return
        with self._changed:
            sent = dict(self._records)
        if sent:
            alive = self._broker.renew(list(sent), self._lease).alive
            gone = [record for id, record in sent.items() if id not in alive and id in self._records]
            for record in gone:
                if record.kind != "worker":  # it holds no jobs: it may simply come back
                    self._broker.register(record, self._lease)
            self.lost = frozenset(record.id for record in gone if record.kind == "worker")
            if self.lost:
                self._wake()
        self._renew_at = now + self._lease / 3

    def _look(self) -> None:
        began = clock.monotonic()
        self.alone = self._broker.waits_alone(self._queues)
        self.looked_at = began
        if self.alone:
            self._wake()

    def _release(self, worker: WorkerRecord, lost: bool) -> None:
        released = self._broker.release(worker, lost=lost)
        if released.jobs:
            logger.warning("jobs_released worker=%s jobs=%d lost=%s", worker.id, released.jobs, "yes" if lost else "no")
        if released.remaining:
            with self._changed:
                self._orders.append(lambda: self._release(worker, lost))


class OwnLease(threading.Thread):
    """Renews a worker's own lease once a second while it holds jobs, and passes cancel requests on to them.

    So the jobs keep their lease when the supervisor is dead or slow, and a request to cancel arrives within a second.
    `gone` is called when the broker says that the lease has ended.
    """

    def __init__(
        self, broker: Broker, worker: UUID, lease: float, *, holds_jobs: Callable[[], bool], gone: Callable[[], None]
    ) -> None:
        super().__init__(name="own-lease", daemon=True)
        self._broker = broker
        self._worker = worker
        self._lease = lease
        self._holds_jobs = holds_jobs
        self._gone = gone
        self._ended = threading.Event()
        self._failed = False

    def end(self) -> None:
        """Stop renewing."""
        self._ended.set()

    def run(self) -> None:
        """The thread's life."""
        while not self._ended.wait(min(LOOK_EVERY, self._lease / 3)):
            if not self._holds_jobs():
                continue
            try:
                renewal = self._broker.renew([self._worker], self._lease)
            except Exception as error:
                if not self._failed:
                    logger.error("own_lease_not_renewed worker=%s %s: %s", self._worker, type(error).__name__, error)
                self._failed = True
                continue
            self._failed = False
            request_cancel(renewal.cancel_requested)
            if self._worker not in renewal.alive and not self._ended.is_set():
                logger.warning("lease_lost worker=%s: it claims nothing more", self._worker)
                self._gone()
                break
        connections.close_all()
