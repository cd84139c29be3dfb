"""The supervisor's voice to the broker: registers its children, renews their leases, and ends them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import connections

from .. import clock
from ..broker.contract import Broker
from ..broker.records import ProcessRecord
from ..errors import BrokerAway, QueueBroken

logger = logging.getLogger("jobs.supervisor")

#: Seconds between two looks for jobs that must run alone.
LOOK_EVERY = 1.0
#: Seconds until what somebody holds locked is asked for again.
AGAIN = 0.2
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0


class Leases(threading.Thread):
    """A thread of its own, because a busy database must not make the supervisor deaf.

    Renewals come first: no order that takes long may cost a healthy worker its lease. `wake` is called when `lost` or
    `alone` has changed.
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
        self._records: dict[UUID, ProcessRecord] = {}
        self._registered: set[UUID] = set()
        self._orders: list[Callable[[], bool]] = []  # each says whether it is carried out
        self._called = False  # there is a new order, or the end has come
        self._ending = False
        self._renew_at = 0.0
        self._failures = 0

    def register(self, record: ProcessRecord) -> None:
        """Make a process known and keep its lease from now on."""

        def carry_out() -> bool:
            if record.id in self._records:  # else it is dead already
                self._broker.register(record, self._lease)
                self._registered.add(record.id)
            return True

        with self._changed:
            self._records[record.id] = record
        self._order(carry_out)

    def release(self, worker: ProcessRecord, *, lost: bool) -> None:
        """End the lease of a process that is dead and give its jobs back, those that somebody holds locked later."""

        def carry_out() -> bool:
            released = self._broker.release(worker, lost=lost)
            if released.jobs:
                told = "yes" if lost else "no"
                logger.warning("jobs_released worker=%s jobs=%d lost=%s", worker.id, released.jobs, told)
            return not released.remaining

        with self._changed:
            self._records.pop(worker.id, None)
            self._registered.discard(worker.id)
        self._order(carry_out)

    def close(self, limit: float) -> None:
        """Finish what was ordered, for at most `limit` seconds; a lease that was not released ends by itself."""
        with self._changed:
            self._ending = self._called = True
            self._changed.notify()
        self.join(limit)

    def run(self) -> None:
        """The thread's life."""
        while self._wait():
            errors = [error for part in (self._renew, self._carry_out, self._look) if (error := _error_of(part))]
            if errors and not self._failures:
                logger.error("leases_not_renewed %s: %s", type(errors[0]).__name__, errors[0])
            elif self._failures and not errors:
                logger.warning("leases_renewed_again failures=%d", self._failures)
            self._failures = self._failures + 1 if errors else 0
        connections.close_all()

    def _order(self, order: Callable[[], bool]) -> None:
        with self._changed:
            self._orders.append(order)
            self._called = True
            self._changed.notify()

    def _wait(self) -> bool:
        """Sleep until there is something to do; False: that was all."""
        with self._changed:
            if not (self._called or self._is_done()):
                self._changed.wait(self._pause())
            self._called = False
            return not self._is_done()

    def _is_done(self) -> bool:
        return self._ending and not self._orders

    def _pause(self) -> float:
        if self._failures:
            # who lives renews within a third of a lease: a keeper counts on it, once the database is back
            longest = FIRST_BACKOFF if self._ending else min(LONGEST_BACKOFF, self._lease / 3)
            return min(FIRST_BACKOFF * 2.0 ** min(self._failures, 10), longest)
        return AGAIN if self._orders else min(LOOK_EVERY, self._lease / 3)

    def _carry_out(self) -> None:
        failure: Exception | None = None
        for order in list(self._orders):
            self._renew()
            try:
                if order():
                    with self._changed:
                        self._orders.remove(order)
            except QueueBroken as error:
                failure = error
            except BrokerAway:
                raise
            except Exception as error:  # this one is tried again, and the others are not its hostages
                failure = error
        if failure is not None:
            raise failure

    def _renew(self) -> None:
        now = clock.monotonic()
        if now < self._renew_at:
            return
        with self._changed:
            sent = {id: record for id, record in self._records.items() if id in self._registered}
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


def _error_of(part: Callable[[], None]) -> Exception | None:
    try:
        part()
    except Exception as error:
        return error
    return None
