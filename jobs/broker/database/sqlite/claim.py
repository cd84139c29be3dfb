"""Claiming on SQLite, under its one lock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from .... import clock
from ....policy import QueueLimits, QueuePolicy
from ...records import ClaimedJob
from ..claim import claimed_job, due_of, read_heads, room_of, start_order, wait_after
from ..connection import Trip
from ..pace import Window
from ..values import text_of


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought, and what was set of the queue's limits, as far as it is known.

    `window`, unless None, is to be saved as late in the transaction as can be.
    """

    jobs: tuple[ClaimedJob, ...] = ()
    wait: float | None = None
    window: Window | None = None
    limits: QueueLimits | None = None


def claim(trip: Trip, worker: UUID, policy: QueuePolicy, wanted: int, alone: bool) -> Claim:
    """Claim up to `wanted` jobs for a worker whose lease lasts."""
    room = room_of(trip, policy, wanted)
    slots = min(wanted, room.slots)
    if slots <= 0:
        return Claim(wait=room.wait, window=room.window, limits=room.limits)
    for (queue,) in trip.run("expire_jobs", queues=json.dumps([policy.name]), now=text_of(trip.now)):
        trip.count(queue, expired=1)
    due, wait = due_of(trip, read_heads(trip, policy.name, alone))
    jobs: list[ClaimedJob] = []
    for priority in due:
        jobs += _claim_priority(trip, worker, policy.name, priority, slots - len(jobs), alone)
        if len(jobs) == slots:
            break
    if len(jobs) < slots:
        # the due ones hid what comes after them
        wait = due_of(trip, read_heads(trip, policy.name, alone))[1] if due else wait
    else:
        wait = 0.0 if slots == wanted else wait_after(room, slots, trip.now)
    return Claim(tuple(jobs), wait, room.window, room.limits)


def _claim_priority(trip: Trip, worker: UUID, queue: str, priority: int, wanted: int, alone: bool) -> list[ClaimedJob]:
    claimed = trip.run(
        "claim_alone_jobs" if alone else "claim_jobs",
        worker=worker.hex,
        queue=queue,
        priority=priority,
        wanted=wanted,
        now=text_of(trip.now),
    )
    monotonic = clock.monotonic() - (clock.now() - trip.now).total_seconds()
    jobs = [claimed_job(row, queue, trip.now, monotonic) for row in claimed]
    # RETURNING has no order
    return sorted(jobs, key=start_order)
