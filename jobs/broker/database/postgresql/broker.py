"""What the database broker does otherwise on PostgreSQL: many writers, a clock and a network of its own."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import Error, transaction

from .... import clock
from ....errors import BrokerAway
from ....policy import QueuePolicy
from ....states import State
from ...records import (
    ClaimedJob,
    Exchange,
    Postponed,
    Settled,
    Settlement,
)
from .. import claim as claiming
from .. import edges, groups, hints, pace, turns
from ..limits import read_limits
from ..outcomes import BUSY
from ..reach import reaching
from ..reply import known_worker, read_reply, save_reply
from ..shared import SharedBroker, pass_exchange
from .connection import PostgresqlDatabase, PostgresqlTrip
from .dead_rows import DeadRows
from .exchange import Found, exchange_jobs, look_for_due

logger = logging.getLogger("jobs.broker")

#: Seconds that a claim waits for the row of a limited queue, and until it comes again.
LOCK_PATIENCE, LOCK_PAUSE = 0.2, 0.02
#: Seconds after which a job is settled again that somebody held locked.
BUSY_PAUSE = 0.005
#: Seconds between two comparisons of this machine's clock with the server's.
MEASURE_EVERY = 10.0


class PostgresqlBroker(SharedBroker):
    """Keeps the live jobs in PostgreSQL. See `jobs.broker.contract`."""

    _database: PostgresqlDatabase

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._dead_rows: defaultdict[str, DeadRows] = defaultdict(DeadRows)
        # by worker: the number of the last exchange that was tried
        self._asked: dict[UUID, int] = {}
        # by queue: whether jobs with a lane waited there when this process last looked
        self._laned: defaultdict[str, bool] = defaultdict(bool)
        # an exchange has ended jobs that others wait for
        self._owes = False
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
        if (again := self._remembered(worker, number)) is not None:
            return again
        # after a lost reply the first trip may still be under way on the server: then only the worker's row tells
        repeated, self._asked[worker] = self._asked.get(worker) == number, number
        pass_exchange("before", settlements, wanted)
        # what is seen in the caller's transaction may be rolled back
        dead_rows = DeadRows() if self._database.in_callers_transaction else self._dead_rows[policy.name]
        limited = (wanted and self._is_limited(policy)) or _needs_lock(settlements)
        trips = self._exchange_limited if limited else self._exchange_free
        answer, due = trips(worker, policy, settlements, wanted, number, alone, dead_rows, repeated=repeated)
        if answer is None:
            with self._database.read() as trip:
                known = known_worker(trip.run("read_process", process=worker))
                known.is_repeated(number)
                return read_reply(trip, worker, known, policy, settlements)
        pass_exchange("after_commit", settlements, answer.jobs)
        self._decide_owed()
        if answer.settled or answer.jobs:
            return answer
        if due:
            # nothing to do: there is time for the walk without bounds
            walked, _ = trips(worker, policy, (), wanted, number, alone, dead_rows, walk=True)
            answer = walked or answer
        return answer if answer.jobs else self._remember(worker, number, answer)

    def _is_limited(self, policy: QueuePolicy) -> bool:
        """Whether a claim needs the lock of the queue's row, as far as is known here."""
        held = self._as_seen(policy)
        return held.rate_limit is not None or held.global_concurrency is not None or self._laned[policy.name]

    def _exchange_free(
        self,
        worker: UUID,
        policy: QueuePolicy,
        settlements: Sequence[Settlement],
        wanted: int,
        number: int,
        alone: bool,
        dead_rows: DeadRows,
        *,
        walk: bool = False,
        repeated: bool = False,
    ) -> tuple[Exchange | None, bool]:
        """Settle and claim; None: the number was answered already. Also whether a walk without bounds is due.

        Where a limit was set meanwhile it claims nothing.
        """
        limits = None
        with self._database.write() if repeated else self._database.read() as trip:
            if repeated and known_worker(trip.lock_process(worker)).is_repeated(number):
                return None, False
            found = exchange_jobs(
                trip, worker, policy.name, settlements, wanted,
                number=number, alone=alone, bounds=dead_rows.bounds(walk=walk), saves=True, unless_limited=policy,
            )  # fmt: skip
            if hints.makes_due(self._as_seen(policy), settlements, len(found.jobs)):
                trip.told.add(policy.name)
            if found.limited:
                limits = self._limits[policy.name] = read_limits(trip, policy.name)
        if not found.fresh:
            return None, False
        self._laned[policy.name] |= found.laned
        if (found.laned or limits is not None) and not settlements:
            return self._exchange_limited(worker, policy, settlements, wanted, number, alone, dead_rows, walk=walk)
        self._owes |= found.awaited
        due = dead_rows.note(found.seen)
        answer = Exchange(found.settled, found.jobs, found.wait)
        if BUSY in found.settled:
            answer = self._settle_busy(worker, policy, settlements, number, answer)
        return answer, due

    def _settle_busy(
        self, worker: UUID, policy: QueuePolicy, settlements: Sequence[Settlement], number: int, answer: Exchange
    ) -> Exchange:
        """Settle once more, a moment later, what was busy: a claim of another process may have looked at the row."""
        time.sleep(BUSY_PAUSE)
        left = [one for one, said in zip(settlements, answer.settled, strict=True) if said is BUSY]
        with self._database.write() as trip:
            known = known_worker(trip.lock_process(worker))
            found = exchange_jobs(trip, worker, policy.name, left, 0)
            again = iter(found.settled)
            settled = tuple(next(again) if said is BUSY else said for said in answer.settled)
            answer = replace(answer, settled=settled)
            save_reply(trip, worker, number, settlements, answer, known.exchanged_at or trip.now)
        self._owes |= found.awaited
        return answer

    def _exchange_limited(
        self,
        worker: UUID,
        policy: QueuePolicy,
        settlements: Sequence[Settlement],
        wanted: int,
        number: int,
        alone: bool,
        dead_rows: DeadRows,
        *,
        walk: bool = False,
        repeated: bool = False,
    ) -> tuple[Exchange | None, bool]:
        """The same for a queue with a limit, under the lock of its row."""
        if not settlements and not repeated:
            with self._database.read() as trip:
                if known_worker(trip.run("read_process", process=worker)).is_repeated(number):
                    return None, False
                heads, due = self._read_heads(trip, policy, alone, dead_rows, walk)
                possible, wait = claiming.look(trip, policy, heads)
            if not possible:
                return Exchange(wait=wait), due
        name, guard, bounds = policy.name, self._guards[policy.name], dead_rows.bounds(walk=walk)
        found, stamp, owes = Found(), None, False
        with self._database.write() as trip:
            if known_worker(trip.lock_process(worker)).is_repeated(number):
                return None, False
            if not trip.lock_queue(name, LOCK_PATIENCE):
                # somebody holds the queue's row: a pause in an open transaction, say
                return self._settle_only(trip, worker, policy, settlements, number), False
            settled: tuple[Settled, ...] = ()
            if settlements:
                # first, and apart: the count of active jobs must see what became free
                first = exchange_jobs(trip, worker, name, settlements, 0)
                settled, owes = first.settled, first.awaited
                pace.return_grants(trip, name, settlements, settled)
                groups.delay_groups(trip, name, _delayed_groups(settlements, settled))
            room = claiming.Room(0, limits=self._limits[name])
            if wanted:
                room = claiming.room_of(trip, policy, wanted)
                self._limits[name] = room.limits
            slots = min(wanted, room.slots)
            self._laned[name] = room.laned or (self._laned[name] and not wanted)
            by_turns: turns.Claimed | None = None
            if slots > 0 and room.laned:
                by_turns = self._claim_by_turns(trip, worker, policy, room, wanted, alone)
                found = Found(jobs=by_turns.jobs, wait=by_turns.wait)
            elif slots > 0:
                found = exchange_jobs(trip, worker, name, (), slots, alone=alone, bounds=bounds)
            jobs, wait = found.jobs, found.wait if slots > 0 else room.wait
            if 0 < len(jobs) == slots < wanted and by_turns is None:
                wait = claiming.wait_after(room, slots, trip.now)
            answer = Exchange(settled, jobs, wait)
            if settled or jobs:
                save_reply(trip, worker, number, settlements, answer, jobs[0].claimed_at if jobs else trip.now)
            if hints.makes_due(room.limits.over(policy), settlements, len(jobs)):
                trip.told.add(name)
            if room.window is not None:
                stamp = pace.save_window(trip, name, room.window, len(jobs), guard)
            of_groups = by_turns and by_turns.groups.save(jobs, guard)
            pass_exchange("before_commit", settlements, jobs)
        self._owes |= owes
        due = dead_rows.note(found.seen)
        if stamp:
            answer = replace(answer, jobs=pace.committed(answer.jobs, stamp, guard))
        if of_groups:
            answer = replace(answer, jobs=groups.granted(answer.jobs, of_groups, guard))
        return answer, due

    def _claim_by_turns(
        self,
        trip: PostgresqlTrip,
        worker: UUID,
        policy: QueuePolicy,
        room: claiming.Room,
        wanted: int,
        alone: bool,
    ) -> turns.Claimed:
        heads = claiming.read_heads(trip, policy.name, alone)

        def claim(ids: Sequence[UUID]) -> Sequence[ClaimedJob]:
            return exchange_jobs(trip, worker, policy.name, (), len(ids), ids=ids).jobs

        return turns.claim_by_turns(trip, policy, room, wanted, heads, alone, claim, self._known_walks())

    def _decide_owed(self) -> None:
        """Tell those that wait for jobs that ended here, in a transaction of its own: the keeper does it otherwise."""
        if not self._owes or self._database.in_callers_transaction:
            return
        self._owes = False
        try:
            self.decide()
        except (BrokerAway, Error):
            logger.warning("decide_failed: the keeper tells the jobs that wait", exc_info=True)

    @reaching
    def decide(self) -> None:
        """Tell those that wait how jobs have ended; see `jobs.broker.database.edges`."""
        for _round in range(edges.ROUNDS):
            with self._database.write() as trip:
                done = edges.decide(trip, straight=True)
            if done.batches:
                with self._database.write() as trip:
                    edges.end_batches(trip, done.batches, done, straight=True)
            if not done.ended:
                break

    def _settle_only(
        self, trip: PostgresqlTrip, worker: UUID, policy: QueuePolicy, settlements: Sequence[Settlement], number: int
    ) -> Exchange:
        """Claim nothing, and settle what needs no lock."""
        unstarted = {id(settlement) for settlement in _needs_lock(settlements)}
        rest = [settlement for settlement in settlements if id(settlement) not in unstarted]
        said = iter(exchange_jobs(trip, worker, policy.name, rest, 0).settled)
        settled = tuple(BUSY if id(settlement) in unstarted else next(said) for settlement in settlements)
        answer = Exchange(settled, (), LOCK_PAUSE)
        if settled:
            save_reply(trip, worker, number, settlements, answer, trip.now)
        return answer

    def _read_heads(
        self, trip: PostgresqlTrip, policy: QueuePolicy, alone: bool, dead_rows: DeadRows, walk: bool
    ) -> tuple[Sequence[Sequence[Any]], bool]:
        """When the first job of each priority is due, and whether a walk without bounds is."""
        if alone:
            return claiming.read_heads(trip, policy.name, alone), False
        heads, seen = look_for_due(trip, policy.name, dead_rows.bounds(walk=walk))
        return heads, dead_rows.note(seen)

    @reaching
    def settle_in_transaction(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> Settled:
        """Settle one job in the caller's transaction; see the contract."""
        if not self._database.django.in_atomic_block:
            raise transaction.TransactionManagementError(
                f"settle_in_transaction needs an open transaction.atomic(using={self._alias!r})"
            )
        with self._database.on_django() as trip:
            if hints.makes_due(self._as_seen(policy), [settlement], 0):
                trip.told.add(policy.name)
            found = exchange_jobs(trip, worker, policy.name, [settlement], 0)
            if found.settled[0] is BUSY:
                # only this job's own thread waits
                trip.lock_job(settlement.job.id)
                found = exchange_jobs(trip, worker, policy.name, [settlement], 0)
        self._owes |= found.awaited
        return found.settled[0]

    def after_atomic(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> bool:
        """True: the settle was part of the transaction. Those that wait for the job are told now."""
        self._decide_owed()
        return True


def _needs_lock(settlements: Sequence[Settlement]) -> list[Settlement]:
    """Those that give a slot back, or let a group wait."""
    delays = [one for one in settlements if getattr(one.outcome, "whole_group", False) and one.job.group]
    return delays + pace.unstarted(settlements)


def _delayed_groups(settlements: Sequence[Settlement], settled: Sequence[Settled]) -> list[tuple[str, float]]:
    """The groups that are to wait, and for how many seconds, as said by what counted."""
    counted = [one for one, said in zip(settlements, settled, strict=True) if said.state is State.QUEUED]
    return [
        (one.job.group, one.outcome.delay)
        for one in counted
        if isinstance(one.outcome, Postponed) and one.outcome.whole_group and one.job.group
    ]
