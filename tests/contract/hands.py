"""Short words for what the contract's tests do; only the contract is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from jobs import clock
from jobs.broker.contract import Broker
from jobs.broker.records import (
    ClaimedJob,
    Completed,
    Exchange,
    Failed,
    NewJob,
    Outcome,
    ProcessRecord,
    Pushed,
    Settlement,
)
from jobs.policy import QueuePolicy

#: Those of the tests.
QUEUES = ("lane", "other")
#: Longer than any test's clock runs.
LONG = 1_000_000.0


class Hands:
    """Pushes to, claims from and settles with one broker; one worker unless another is named."""

    def __init__(self, broker: Broker, lease: float = LONG, policy: QueuePolicy | None = None) -> None:
        self.broker = broker
        self.policy = policy or QueuePolicy("lane")
        self.lease = lease
        self.numbers = count(1)
        self.worker = self.new_worker()

    def new_worker(self, lease: float | None = None, queue: str = "") -> UUID:
        record = replace(self.record(clock.new_id()), queue=queue or self.policy.name)
        self.broker.register(record, self.lease if lease is None else lease)
        return record.id

    def record(self, worker: UUID) -> ProcessRecord:
        return ProcessRecord(worker, "worker", self.policy.name, "host", 42, 10)

    def push_all(self, jobs: Sequence[NewJob]) -> list[Pushed]:
        """Push jobs of one queue."""
        return list(self.broker.push(jobs[0].queue, jobs).answers)

    def release(self, worker: UUID, *, lost: bool) -> int:
        """Release a worker of whom nobody holds a job locked; returns how many jobs went back."""
        released = self.broker.release(self.record(worker), lost=lost)
        assert released.remaining == ()
        return released.jobs

    def new_job(self, **options: Any) -> NewJob:
        known: dict[str, Any] = {"id": clock.new_id(), "queue": self.policy.name, "task": "app.task", "message": "{}"}
        return NewJob(**{**known, "priority": 0, **options})

    def push_one(self, **options: Any) -> Pushed:
        job = self.new_job(**options)
        return self.broker.push(job.queue, [job]).answers[0]

    def push(self, **options: Any) -> UUID:
        return self.push_one(**options).id

    def exchange(self, *settlements: Settlement, wanted: int = 10, **options: Any) -> Exchange:
        worker = options.pop("worker", self.worker)
        policy = options.pop("policy", self.policy)
        number = options.pop("number", None) or next(self.numbers)
        return self.broker.exchange(worker, policy, settlements, wanted, number=number, **options)

    def claim(self, wanted: int = 10, **options: Any) -> list[ClaimedJob]:
        return list(self.exchange(wanted=wanted, **options).jobs)

    def claim_ids(self, wanted: int = 10, **options: Any) -> list[UUID]:
        return [job.id for job in self.claim(wanted, **options)]

    def claim_one(self, **options: Any) -> ClaimedJob:
        jobs = self.claim(1, **options)
        assert len(jobs) == 1, "nothing to claim"
        return jobs[0]

    def settlement(self, job: ClaimedJob, outcome: Outcome, *, started: bool = True) -> Settlement:
        now: datetime = self.broker.now()
        return Settlement(job, outcome, now if started else None, now)

    def settle(self, job: ClaimedJob, outcome: Outcome | None = None, *, started: bool = True, **options: Any) -> bool:
        settlement = self.settlement(job, outcome or Completed(), started=started)
        return self.exchange(settlement, wanted=0, **options).settled[0].counted

    def fail_one(self, **options: Any) -> UUID:
        """A dead letter."""
        job_id = self.push(**options)
        assert self.settle(self.claim_one(), Failed("broken"))
        return job_id

    def lose(self, times: int) -> None:
        """Let a worker claim one job and die, so often."""
        for _ in range(times):
            worker = self.new_worker()
            job = self.claim(1, worker=worker) or self.claim(1, worker=worker, alone=True)
            assert job
            assert self.release(worker, lost=True) == 1
