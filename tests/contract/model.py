"""What a broker does, in memory and in few lines; time is a number, `turn` orders what happens at one time."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from jobs.broker.contract import LOSS_RULES


@dataclass
class ModelJob:
    id: UUID
    priority: int
    ready: tuple[float, int]
    key: str | None
    run: int = 1
    tags: tuple[str, ...] = ()
    group: str = ""
    state: str = "queued"
    worker: UUID | None = None
    attempts: int = 0
    starts: int = 0
    lost: int = 0
    claims: int = 0
    asked: bool = False


class Model:
    """The live and ended jobs of one queue."""

    def __init__(self) -> None:
        self.time, self.turn, self.paused = 0.0, 0, False
        self.paused_tags: set[str] = set()
        self.paused_groups: set[str] = set()
        self.jobs: dict[UUID, ModelJob] = {}
        self.leases: dict[UUID, float] = {}

    def due_at(self, delay: float) -> tuple[float, int]:
        self.turn += 1
        return self.time + delay, self.turn

    def holder(self, key: str | None) -> UUID | None:
        live = (job.id for job in self.jobs.values() if key and job.key == key and job.state in ("queued", "active"))
        return next(live, None)

    def push(
        self,
        id: UUID,
        run: int,
        priority: int,
        delay: float,
        key: str | None,
        tags: tuple[str, ...] = (),
        group: str = "",
    ) -> tuple[str, UUID | None]:
        known = self.jobs.get(id)
        if known and not (run > known.run and known.state == "failed"):
            return "known", None
        if holder := self.holder(key):
            return "duplicate", holder
        claims, tags, group = (known.claims, known.tags, known.group) if known else (0, tags, group)
        self.jobs[id] = ModelJob(id, priority, self.due_at(delay), key, run, tags, group, claims=claims)
        return "accepted", None

    def claim(self, worker: UUID, wanted: int, alone: bool) -> list[UUID]:
        if self.paused or self.leases.get(worker, -1) < self.time:
            return []
        return [self.take(job, worker).id for job in self.startable(alone)[:wanted]]

    def startable(self, alone: bool = False) -> list[ModelJob]:
        """The jobs that may start now, in the order of a queue without groups."""
        due = [
            job
            for job in self.jobs.values()
            if job.state == "queued"
            and job.ready[0] <= self.time
            and (job.lost >= LOSS_RULES.alone_after) is alone
            and job.group not in self.paused_groups
            and self.paused_tags.isdisjoint(job.tags)
        ]
        return sorted(due, key=lambda job: (-job.priority, job.ready, job.id))

    def take(self, job: ModelJob, worker: UUID) -> ModelJob:
        job.state, job.worker, job.claims = "active", worker, job.claims + 1
        return job

    def settle(self, id: UUID, claims: int, state: str, burns: int, delay: float | None) -> bool:
        job = self.jobs[id]
        if job.state != "active" or job.claims != claims:
            return False
        job.attempts += burns
        job.starts += 1
        self.leave(job, state, delay)
        return True

    def leave(self, job: ModelJob, state: str, delay: float | None = None) -> None:
        back = state in ("queued", "expired")
        job.state, job.worker = ("cancelled" if job.asked and back else state), None
        if job.state == "queued" and delay is not None:
            job.ready = self.due_at(delay)

    def release(self, worker: UUID, lost: bool) -> int:
        self.leases.pop(worker, None)
        held = [job for job in self.jobs.values() if job.state == "active" and job.worker == worker]
        for job in held:
            job.lost += lost
            job.starts += 1
            dead = lost and job.lost >= LOSS_RULES.dead_after and not job.asked
            self.leave(job, "failed" if dead else "queued")
        return len(held)

    def reap(self) -> int:
        return sum(self.release(worker, True) for worker, end in list(self.leases.items()) if end < self.time)

    def cancel(self, id: UUID) -> str:
        job = self.jobs[id]
        if job.state in ("queued", "failed"):
            job.state = "cancelled"
            return "cancelled"
        if job.state == "active":
            job.asked = True
            return "asked"
        return "ended"

    def promote(self, id: UUID) -> bool:
        job = self.jobs[id]
        if job.state != "queued" or job.ready[0] <= self.time:
            return False
        job.ready = self.due_at(0)
        return True

    def change(self, id: UUID, delay: float | None, priority: int | None) -> str | None:
        job = self.jobs.get(id)
        if job is None:
            return None
        if job.state != "queued":
            return "active" if job.state == "active" else "ended"
        job.ready = job.ready if delay is None else self.due_at(delay)
        job.priority = job.priority if priority is None else priority
        return "changed"
