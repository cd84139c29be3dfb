"""What the database broker does otherwise on PostgreSQL: many writers, a clock and a network of its own."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from .... import clock
from ....faults import point
from ....policy import QueuePolicy
from ...records import (
    Answer,
    Exchange,
    NewJob,
    Pushed,
    PushReply,
    PushStatus,
    Settled,
    Settlement,
)
from .. import claim as claiming
from .. import pace
from ..broker import DatabaseBroker, check_queue, pass_exchange, take
from ..connection import Trip
from ..reach import reaching
from ..reply import known_worker, read_reply, save_reply
from .connection import PostgresqlDatabase
from .exchange import Found, exchange_jobs, look_for_due
from .lane import Lane

logger = logging.getLogger("jobs.broker")

#: Seconds that a claim waits for the row of a limited queue, and until it comes again.
LOCK_PATIENCE, LOCK_PAUSE = 0.2, 0.02
#: Seconds after which a job is settled again that somebody held locked.
BUSY_PAUSE = 0.005
#: Seconds between two comparisons of this machine's clock with the server's.
MEASURE_EVERY = 10.0
#: Workers look once a second by themselves: what is due later than that needs no hint.
HINT_WITHIN = 1.0


class PostgresqlBroker(DatabaseBroker):
    """Keeps the live jobs in PostgreSQL. See `jobs.broker.contract`."""

    _database: PostgresqlDatabase

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._lanes: defaultdict[str, Lane] = defaultdict(Lane)
        # by worker: the number of the last exchange that was tried
        self._asked: dict[UUID, int] = {}
        # when the clocks were last compared, and the answer
        self._offset = (float("-inf"), 0.0)

    def _connect(self, alias: str) -> PostgresqlDatabase:
        return PostgresqlDatabase(alias)

    @reaching
    def now(self) -> datetime:
        """The server's time."""
        with self._database.read() as trip:
            return trip.read_clock()

    @reaching
    def clock_offset(self) -> float:
        """How far this machine's clock is ahead of the server's, at least; see the contract."""
        measured_at, offset = self._offset
        if clock.monotonic() - measured_at >= MEASURE_EVERY:
            with self._database.read() as trip:
                began, asked_at = clock.monotonic(), clock.now()
                told = trip.read_clock()
                doubt = (clock.monotonic() - began) / 2
            ahead = (asked_at - told).total_seconds() + doubt
            offset = max(0.0, ahead - doubt) if ahead > 0 else min(0.0, ahead + doubt)
            self._offset = (clock.monotonic(), offset)
        return offset

    @reaching
    def push(self, queue: str, jobs: Sequence[NewJob], as_of: datetime | None = None) -> PushReply:
        """Take jobs in, all or none; see the contract."""
        check_queue(queue, jobs)
        if not jobs:
            return PushReply()
        if len(jobs) == 1 and jobs[0].key is None:
            # one statement needs no transaction around it
            with self._database.read_django() as trip:
                if trip.insert_all(jobs):
                    point("push.after_commit")
                    self.hint_after_commit(jobs)
                    return PushReply((Pushed(jobs[0].id, PushStatus.ACCEPTED),))
        with self._database.write_synced() as trip:
            trip.lock_keys(jobs)
            left = trip.insert_all(jobs)
            answers: list[Pushed] = []
            for job in jobs:
                if job.id in left:
                    left.discard(job.id)
                    answers.append(Pushed(job.id, PushStatus.ACCEPTED))
                else:
                    answers.append(take(trip, job))
            point("push.before_commit")
        point("push.after_commit")
        self.hint_after_commit(jobs)
        return PushReply(tuple(answers))

    @reaching
    def exchange(
        self,
        worker: UUID,
        policy: QueuePolicy,
        settlements: Sequence[Settlement],
        wanted: int,
        *,
        number: int,
        alone: bool = False,
    ) -> Exchange:
        """Settle and claim in one statement; for a queue with a limit in a few, under its lock. See the contract."""
        if not settlements and wanted <= 0:
            return Exchange()
        if (again := self._remembered(worker, number)) is not None:
            return again
        # after a lost reply the first trip may still be under way on the server: then only the worker's row tells
        repeated, self._asked[worker] = self._asked.get(worker) == number, number
        pass_exchange("before", settlements, wanted)
        # what is seen in the caller's transaction may be rolled back
        lane = Lane() if self._database.in_callers_transaction else self._lanes[policy.name]
        trips = self._exchange_limited if wanted and _is_limited(policy) else self._exchange_free
        answer = trips(worker, policy, settlements, wanted, number, alone, lane, overdue=lane.idle, repeated=repeated)
        if answer is None:
            with self._database.read() as trip:
                known = known_worker(trip.run("read_worker", worker=worker))
                known.is_repeated(number)
                return read_reply(trip, worker, known, policy, settlements)
        pass_exchange("after_commit", settlements, answer.jobs)
        if answer.settled or answer.jobs:
            return answer
        if wanted and not alone and lane.overdue:
            # nothing to do: there is time for the walk without bounds
            answer = trips(worker, policy, (), wanted, number, alone, lane, overdue=False, repeated=False) or answer
        return answer if answer.jobs else self._remember(worker, number, answer)

    def _exchange_free(
        self,
        worker: UUID,
        policy: QueuePolicy,
        settlements: Sequence[Settlement],
        wanted: int,
        number: int,
        alone: bool,
        lane: Lane,
        *,
        overdue: bool,
        repeated: bool,
    ) -> Exchange | None:
        """Settle and claim; `overdue`: with bounds whose time is over, too. None: the number was answered already."""
        with self._database.write() if repeated else self._database.read() as trip:
            if repeated and known_worker(trip.lock_worker(worker)).is_repeated(number):
                return None
            found = exchange_jobs(
                trip, worker, policy.name, settlements, wanted,
                number=number, alone=alone, bounds=lane.bounds(overdue=overdue), saves=True,
            )  # fmt: skip
        if not found.fresh:
            return None
        lane.note_claim(found.seen)
        answer = Exchange(found.settled, found.jobs, found.wait)
        if any(settled.answer is Answer.BUSY for settled in found.settled):
            return self._settle_busy(worker, policy, settlements, number, answer)
        return answer

    def _settle_busy(
        self, worker: UUID, policy: QueuePolicy, settlements: Sequence[Settlement], number: int, answer: Exchange
    ) -> Exchange:
        """Settle once more, a moment later, what was busy: a claim of another process may have looked at the row."""
        time.sleep(BUSY_PAUSE)
        left = [one for one, said in zip(settlements, answer.settled, strict=True) if said.answer is Answer.BUSY]
        with self._database.write() as trip:
            known = known_worker(trip.lock_worker(worker))
            again = iter(exchange_jobs(trip, worker, policy.name, left, 0).settled)
            settled = tuple(next(again) if said.answer is Answer.BUSY else said for said in answer.settled)
            answer = replace(answer, settled=settled)
            save_reply(trip, worker, number, settlements, answer, known.exchanged_at or trip.now)
        return answer

    def _exchange_limited(
        self,
        worker: UUID,
        policy: QueuePolicy,
        settlements: Sequence[Settlement],
        wanted: int,
        number: int,
        alone: bool,
        lane: Lane,
        *,
        overdue: bool,
        repeated: bool,
    ) -> Exchange | None:
        """The same for a queue with a limit, under the lock of its row."""
        if not settlements and not repeated:
            with self._database.read() as trip:
                if known_worker(trip.run("read_worker", worker=worker)).is_repeated(number):
                    return None
                possible, wait = claiming.look(trip, policy, self._read_heads(trip, policy, alone, lane, overdue))
            if not possible:
                return Exchange(wait=wait)
        name, guard, bounds = policy.name, self._guards[policy.name], lane.bounds(overdue=overdue)
        stamped: float | None = None
        with self._database.write() as trip:
            known = known_worker(trip.lock_worker(worker))
            if known.is_repeated(number):
                return None
            if not trip.lock_queue(name, LOCK_PATIENCE):
                # somebody holds the queue's row: a pause in an open transaction, say
                settled = exchange_jobs(trip, worker, name, settlements, 0).settled
                answer = Exchange(settled, (), LOCK_PAUSE)
                save_reply(trip, worker, number, settlements, answer, trip.now)
                return answer
            settled = ()
            if settlements:
                # first, and apart: the count of active jobs must see what became free
                settled = exchange_jobs(trip, worker, name, settlements, 0).settled
            room = claiming.room_of(trip, policy)
            slots = min(wanted, room.slots)
            found = Found(wait=room.wait)
            if slots > 0:
                found = exchange_jobs(trip, worker, name, (), slots, alone=alone, bounds=bounds)
            jobs, wait = found.jobs, found.wait
            if len(jobs) == slots < wanted and slots:
                wait = claiming.wait_after(policy, room, slots, trip.now)
            answer = Exchange(settled, jobs, wait)
            if settled or jobs:
                save_reply(trip, worker, number, settlements, answer, jobs[0].claimed_at if jobs else trip.now)
            if (policy.rate_limit is not None and jobs) or room.clock_set_back:
                stamped = pace.save_grants(trip, name, room.grants, jobs, guard)
            pass_exchange("before_commit", settlements, jobs)
        lane.note_claim(found.seen)
        return answer if stamped is None else replace(answer, jobs=pace.committed(jobs, stamped, guard))

    def _read_heads(
        self, trip: Trip, policy: QueuePolicy, alone: bool, lane: Lane, overdue: bool
    ) -> Sequence[Sequence[Any]]:
        if alone:
            return claiming.read_heads(trip, policy.name, alone)
        heads, seen = look_for_due(trip, policy.name, lane.bounds(overdue=overdue))
        lane.note_look(seen)
        return heads

    @reaching
    def settle_in_transaction(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> Settled:
        """Settle one job in the caller's transaction; see the contract."""
        if not self._database.django.in_atomic_block:
            raise transaction.TransactionManagementError(
                f"settle_in_transaction needs an open transaction.atomic(using={self._alias!r})"
            )
        with self._database.read_django() as trip:
            settled = exchange_jobs(trip, worker, policy.name, [settlement], 0).settled[0]
            if settled.answer is Answer.BUSY:
                # only this job's own thread waits
                trip.lock_job(settlement.job.id)
                settled = exchange_jobs(trip, worker, policy.name, [settlement], 0).settled[0]
        return settled

    def promote(self, queue: str, job_id: UUID) -> bool:
        """Make a queued job due now; False: it is not queued, or is due already."""
        promoted = super().promote(queue, job_id)
        if promoted:
            self._hint({queue})
        return promoted

    def resume(self, queue: str) -> None:
        """End a pause and what a provider's "slow down" had asked for."""
        super().resume(queue)
        self._hint({queue})

    # Hints

    def hint_after_commit(self, jobs: Sequence[NewJob]) -> None:
        """Wake the workers of these jobs' queues once they are committed: one notification a transaction and queue."""
        self._hint({job.queue for job in jobs if job.ready_at is not None or job.delay < HINT_WITHIN})

    def _hint(self, queues: set[str]) -> None:
        django = self._database.django
        if not queues or (not django.in_atomic_block and not django.get_autocommit()):
            return
        if not django.in_atomic_block:
            self._database.notify(queues)
            return
        # several enqueues of one transaction: the first that runs after the commit speaks for all
        waiting: set[str] = django.__dict__.setdefault("_esteira_hints", set())
        waiting.update(queues)
        transaction.on_commit(partial(self._hint_all, waiting), using=self._alias, robust=True)

    def _hint_all(self, waiting: set[str]) -> None:
        if waiting:
            point("enqueue.after_commit")
            queues = set(waiting)
            waiting.clear()
            self._database.notify(queues)

    def wait_for_hint(self, queue: str, seconds: float) -> bool | None:
        """Wait for a notification that names the queue; None: none can be heard, for example behind a pooler."""
        return self._database.listen(queue, seconds)


def _is_limited(policy: QueuePolicy) -> bool:
    return policy.rate_limit is not None or policy.global_concurrency is not None
