"""What the database broker does otherwise on PostgreSQL: many writers, a clock and a network of its own."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from .... import clock
from ....policy import QueuePolicy
from ...contract import PACE_GUARD
from ...records import (
    Answer,
    ClaimedJob,
    Exchange,
    Expired,
    Released,
    Settled,
    Settlement,
    WorkerRecord,
)
from .. import claim as claiming
from .. import hints, pace
from ..broker import DatabaseBroker, pass_exchange
from ..connection import Trip
from ..reach import reaching
from ..settle import ATTEMPT_OUTCOME
from .connection import PostgresqlDatabase
from .exchange import Found, exchange_jobs, look_for_due
from .lane import Bounds, Lane

logger = logging.getLogger("jobs.broker")

#: Seconds for which a statement whose reply was lost may still be under way: its own time limit, and a margin.
_STILL_UNDER_WAY = 40.0
#: Seconds between two comparisons of this machine's clock with the server's.
MEASURE_EVERY = 10.0


class PostgresqlBroker(DatabaseBroker):
    """Keeps the live jobs in PostgreSQL. See `jobs.broker.contract`."""

    _database: PostgresqlDatabase

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._lanes: defaultdict[str, Lane] = defaultdict(Lane)
        # what each worker of this process was given and has not settled; and for whom a reply was lost, until when
        self._given: defaultdict[UUID, set[UUID]] = defaultdict(set)
        self._unsure: dict[UUID, float] = {}
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
        recovered = self._recover(worker, policy) if worker in self._unsure else ()
        room = max(0, wanted - len(recovered))
        own = not self._database.in_callers_transaction
        pass_exchange("before", settlements, room)
        try:
            answer = self._exchange(worker, policy, settlements, room, alone)
        except (OperationalError, InterfaceError):
            # it may have happened all the same
            if own:
                self._unsure[worker] = clock.monotonic() + _STILL_UNDER_WAY
            raise
        pass_exchange("after_commit", settlements, answer.jobs)
        if own:
            if worker in self._unsure:
                answer = self._mend(worker, settlements, answer)
            given = self._given[worker]
            given.difference_update(settlement.job.id for settlement in settlements)
            given.update(job.id for job in answer.jobs)
            given.update(job.id for job in recovered)
        return Exchange(answer.settled, (*recovered, *answer.jobs), 0.0 if recovered else answer.wait)

    def _exchange(
        self, worker: UUID, policy: QueuePolicy, settlements: Sequence[Settlement], wanted: int, alone: bool
    ) -> Exchange:
        # what is seen in the caller's transaction may be rolled back
        lane = Lane() if self._database.in_callers_transaction else self._lanes[policy.name]
        answer = self._exchange_once(worker, policy, settlements, wanted, alone, lane, overdue=lane.idle)
        if wanted and not alone and not answer.jobs and lane.overdue:
            # nothing to do: there is time for the walk without bounds
            again = self._exchange_once(worker, policy, (), wanted, alone, lane, overdue=False)
            answer = replace(again, settled=answer.settled)
        return answer

    def _exchange_once(
        self,
        worker: UUID,
        policy: QueuePolicy,
        settlements: Sequence[Settlement],
        wanted: int,
        alone: bool,
        lane: Lane,
        *,
        overdue: bool,
    ) -> Exchange:
        """Settle and claim; `overdue`: with bounds whose time is over, too."""
        limited = policy.rate_limit is not None or policy.global_concurrency is not None
        if not (wanted and limited) and not pace.unstarted(settlements):
            late = any(isinstance(settlement.outcome, Expired) for settlement in settlements)
            bounds = lane.bounds(overdue=overdue)
            with self._database.write() if late else self._database.read() as trip:
                answer = exchange_jobs(trip, worker, policy.name, settlements, wanted, alone, bounds)
                if hints.makes_due(policy, settlements, len(answer.jobs)):
                    trip.told.add(policy.name)
            lane.note_claim(answer.seen)
            return Exchange(answer.settled, answer.jobs, answer.wait if wanted else None)
        if not settlements:
            with self._database.read() as trip:
                possible, wait = claiming.look(trip, policy, self._read_heads(trip, policy, alone, lane, overdue))
            if not possible:
                return Exchange(wait=wait)
        return self._exchange_limited(worker, policy, settlements, wanted, alone, lane, overdue)

    def _read_heads(
        self, trip: Trip, policy: QueuePolicy, alone: bool, lane: Lane, overdue: bool
    ) -> Sequence[Sequence[Any]]:
        if alone:
            return claiming.read_heads(trip, policy.name, alone)
        heads, seen = look_for_due(trip, policy.name, lane.bounds(overdue=overdue))
        lane.note_look(seen)
        return heads

    def _exchange_limited(
        self,
        worker: UUID,
        policy: QueuePolicy,
        settlements: Sequence[Settlement],
        wanted: int,
        alone: bool,
        lane: Lane,
        overdue: bool,
    ) -> Exchange:
        name, guard, bounds = policy.name, self._guards[policy.name], lane.bounds(overdue=overdue)
        answer, stamp = Found(), None
        with self._database.write() as trip:
            trip.lock_queue(name)
            settled: tuple[Settled, ...] = ()
            if settlements:
                # first, and apart: the count of active jobs must see what became free
                settled = exchange_jobs(trip, worker, name, settlements, 0, alone, Bounds()).settled
                pace.return_grants(trip, name, settlements, settled)
            room = claiming.room_of(trip, policy, wanted) if wanted else claiming.Room(0)
            slots = min(wanted, room.slots)
            if slots > 0:
                answer = exchange_jobs(trip, worker, name, (), slots, alone, bounds)
            jobs, wait = answer.jobs, answer.wait if slots > 0 else room.wait
            if 0 < len(jobs) == slots < wanted:
                wait = claiming.wait_after(room, slots, trip.now)
            if hints.makes_due(policy, settlements, len(jobs)):
                trip.told.add(name)
            if room.window is not None:
                stamp = pace.save_window(trip, name, room.window, len(jobs), guard)
            pass_exchange("before_commit", settlements, jobs)
        lane.note_claim(answer.seen)
        return Exchange(settled, pace.committed(jobs, stamp, guard) if stamp else jobs, wait)

    @reaching
    def settle_in_transaction(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> Settled:
        """Settle one job in the caller's transaction; see the contract."""
        if not self._database.django.in_atomic_block:
            raise transaction.TransactionManagementError(
                f"settle_in_transaction needs an open transaction.atomic(using={self._alias!r})"
            )
        with self._database.on_django() as trip:
            answer = exchange_jobs(trip, worker, policy.name, [settlement], 0, False, Bounds())
            if hints.makes_due(policy, [settlement], 0):
                trip.told.add(policy.name)
        # only when it is true may the job be forgotten: what is not known is claimed anew after a lost reply
        transaction.on_commit(partial(self._given[worker].discard, settlement.job.id), using=self._alias, robust=True)
        return answer.settled[0]

    def release(self, worker: WorkerRecord, *, lost: bool) -> Released:
        """End a dead process's lease and give its jobs back; see the contract."""
        self._given.pop(worker.id, None)
        self._unsure.pop(worker.id, None)
        return super().release(worker, lost=lost)

    # After a reply that was lost

    def _recover(self, worker: UUID, policy: QueuePolicy) -> tuple[ClaimedJob, ...]:
        """The jobs that a lost reply brought: this worker's in the database, and unknown here."""
        if clock.monotonic() > self._unsure[worker]:
            del self._unsure[worker]
        with self._database.read() as trip:
            found = trip.run("read_unclaimed", worker=worker, queue=policy.name, known=list(self._given[worker]))
            if not found:
                return ()
            now, monotonic = trip.now, clock.monotonic()
        jobs = []
        for row in found:
            claimed_at = row[17].astimezone(UTC)
            claimed_monotonic = monotonic - (now - claimed_at).total_seconds()
            job = claiming.claimed_job(row[:17], policy.name, claimed_at, claimed_monotonic)
            # its slots were granted then, and not for now
            jobs.append(replace(job, start_by=claimed_monotonic + PACE_GUARD) if policy.rate_limit else job)
        logger.warning("claims_recovered queue=%s worker=%s jobs=%d", policy.name, worker, len(jobs))
        return tuple(jobs)

    def _mend(self, worker: UUID, settlements: Sequence[Settlement], answer: Exchange) -> Exchange:
        """Say of refused settlements whether they had counted already, when their reply was lost."""
        settled = list(answer.settled)
        with self._database.read() as trip:
            for place, settlement in enumerate(settlements):
                refused = not settled[place].counted and settlement.started_at is not None
                if refused and _is_in_history(trip, settlement):
                    settled[place] = Settled(Answer.COUNTED)
        return Exchange(tuple(settled), answer.jobs, answer.wait)


def _is_in_history(trip: Trip, settlement: Settlement) -> bool:
    job = settlement.job
    return bool(
        trip.run(
            "read_settled",
            job=job.id,
            run=job.run,
            claimed_at=job.claimed_at,
            outcome=ATTEMPT_OUTCOME[type(settlement.outcome)],
        )
    )
