"""The broker on SQLite: one lock for all, and the machine's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import transaction

from .... import clock
from ....policy import QueuePolicy
from ....states import ENDED
from ...records import Exchange, Settled, Settlement
from .. import claim as claiming
from .. import edges, groups, hints, pace
from ..connection import JobsDatabase, Trip
from ..limits import read_limits
from ..reach import reaching
from ..reply import known_worker, read_reply, save_reply
from ..shared import SharedBroker, pass_exchange
from .claim import Claim, claim
from .connection import SqliteDatabase
from .settle import settle_all


class SqliteBroker(SharedBroker):
    """Keeps the live jobs in a SQLite file. See `jobs.broker.contract`."""

    def _connect(self, alias: str) -> JobsDatabase:
        return SqliteDatabase(alias)

    def now(self) -> datetime:
        """The machine's time: on SQLite there is one machine."""
        return clock.now()

    def _counting(self, trip: Trip) -> str:
        """By the conditions that the indexes were made with: to look at another one, each row would be fetched."""
        by_number = {"=" in condition for (condition,) in trip.run("read_conditions_of_alone")}
        if len(by_number) > 1:
            return super()._counting(trip)  # made by migrations under different versions of Django
        return "count_live_jobs_by_number" if True in by_number else "count_live_jobs_by_word"

    def clock_offset(self) -> float:
        """Nothing: the machine's clock is the broker's."""
        return 0.0

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
        """Settle and claim in one transaction; without anything to do it only reads. See the contract."""
        if (again := self._remembered(worker, number)) is not None:
            return again
        if not settlements:
            if wanted <= 0:
                return Exchange()
            with self._database.read() as trip:
                known = known_worker(trip.run("read_process", process=worker.hex, now=trip.text_now))
                if known.is_repeated(number):
                    return read_reply(trip, worker, known, policy, settlements)
                possible, wait = claiming.look(trip, policy, claiming.read_heads(trip, policy.name, alone))
            if not possible or not known.may_claim:
                return self._remember(worker, number, Exchange(wait=wait))
        pass_exchange("before", settlements, wanted > 0)
        guard = self._guards[policy.name]
        with self._database.write() as trip:
            known = known_worker(trip.lock_process(worker))
            if known.is_repeated(number):
                return read_reply(trip, worker, known, policy, settlements)
            settled = settle_all(trip, worker, known.label, settlements)
            pace.return_grants(trip, policy.name, settlements, settled)
            if any(one.state in ENDED for one in settled):
                edges.decide_all(trip)
            claimed = Claim()
            if known.may_claim and wanted > 0:
                claimed = claim(trip, worker, policy, wanted, alone, self._known_walks())
            answer = Exchange(settled, claimed.jobs, claimed.wait)
            if settled or claimed.jobs:
                save_reply(trip, worker, number, settlements, answer, trip.now)
            limits = claimed.limits or read_limits(trip, policy.name)
            if hints.makes_due(limits.over(policy), settlements, len(claimed.jobs)):
                trip.told.add(policy.name)
            trip.write_counts()
            stamp = claimed.window and pace.save_window(trip, policy.name, claimed.window, len(claimed.jobs), guard)
            of_groups = claimed.groups and claimed.groups.save(claimed.jobs, guard)
            pass_exchange("before_commit", settlements, claimed.jobs)
        pass_exchange("after_commit", settlements, claimed.jobs)
        if stamp:
            answer = replace(answer, jobs=pace.committed(answer.jobs, stamp, guard))
        if of_groups:
            answer = replace(answer, jobs=groups.granted(answer.jobs, of_groups, guard))
        return answer if settled or claimed.jobs else self._remember(worker, number, answer)

    @reaching
    def settle_in_transaction(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> Settled:
        """Settle one job in the caller's transaction; see the contract."""
        if not self._database.django.in_atomic_block:
            raise transaction.TransactionManagementError(
                f"settle_in_transaction needs an open transaction.atomic(using={self._alias!r})"
            )
        with self._database.write_synced() as trip:
            known = known_worker(trip.run("read_process", process=worker.hex, now=trip.text_now))
            if hints.makes_due(claiming.policy_held(trip, policy), [settlement], 0):
                trip.told.add(policy.name)
            settled = settle_all(trip, worker, known.label, [settlement])[0]
            if settled.state in ENDED:
                edges.decide_all(trip)
            return settled
