"""A worker and a keeper in this thread, over each of the brokers of the contract."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import count
from uuid import UUID

import pytest
from django.db import connections

from jobs import JobHandle, Queue, clock
from jobs.broker.records import ProcessRecord
from jobs.enqueue import outbox
from jobs.enqueue.outbox import push_pending
from jobs.history import facts, live
from jobs.keep import unblock
from jobs.models import Job
from jobs.work.execution import execute
from tests.contract.conftest import BENCHES, Bench
from tests.each_broker import as_the_broker


@pytest.fixture(params=[name for name in ("sqlite", "postgresql", "redis") if name in BENCHES])
def bench(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Bench]:
    """Each broker; that it keeps to the contract in every disguise is shown there."""
    with BENCHES[request.param]() as standing:
        yield standing


class Flow:
    """What a test does with jobs that wait."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._numbers = count(1)
        self._workers: dict[str, UUID] = {}
        #: the tasks that were started, in order
        self.started: list[str] = []

    def keep(self) -> None:
        """The keeper's part, with nothing to wait for."""
        if not self.bench.broker.rows_are_the_queue:
            for name in self.bench.broker.queues():
                while facts.catch_up(self.bench.broker, live.policy_of(name)):
                    pass
        unblock._look_at = float("-inf")
        while unblock.run():
            pass
        push_pending()

    def work(self, queue: Queue, *, keeps: bool = True) -> list[str]:
        """Run what is due and what follows it; returns the tasks that were started."""
        before = len(self.started)
        while self.step(queue) or (keeps and (self.keep() or self.step(queue))):
            pass
        return self.started[before:]

    def step(self, queue: Queue) -> bool:
        """Run one job, if one is due."""
        broker, worker = self.bench.broker, self._worker(queue.name)
        claimed = broker.exchange(worker, queue.policy, [], 1, number=next(self._numbers)).jobs
        if not claimed:
            return False
        self.started.append(claimed[0].task.rpartition(".")[2])
        settlement = execute(claimed[0], queue, worker)
        if settlement is not None:
            settled = broker.exchange(worker, queue.policy, [settlement], 0, number=next(self._numbers)).settled[0]
            assert settled.counted
        return True

    def work_alone(self, queue: Queue) -> None:
        """Run what is due as a worker process of its own, in a thread of its own."""
        other = Flow(self.bench)
        try:
            while other.step(queue):
                pass
        finally:
            connections.close_all()

    def state(self, job: JobHandle | UUID) -> str:
        """The stored state of a job."""
        return self.row(job).state

    def row(self, job: JobHandle | UUID) -> Job:
        """The row of a job, up to date."""
        row = live.row_of(job if isinstance(job, UUID) else job.id)
        assert row is not None
        return row

    def _worker(self, queue: str) -> UUID:
        if queue not in self._workers:
            record = ProcessRecord(clock.new_id(), "worker", queue, socket.gethostname(), 1, 1)
            self.bench.broker.register(record, 600)
            self._workers[queue] = record.id
        return self._workers[queue]


@pytest.fixture
def flow(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    """A worker and a keeper on each broker, which is that of `get_broker` meanwhile."""
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    with as_the_broker(bench.broker, monkeypatch):
        yield Flow(bench)
