"""Claiming on SQLite, under its one lock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from .... import clock
from ....policy import QueueLimits, QueuePolicy
from ....states import State
from ...records import ClaimedJob
from ..claim import claimed_job, due_of, read_heads, room_of, start_order, wait_after
from ..connection import Trip
from ..groups import Groups
from ..pace import Window
from ..turns import claim_by_turns
from ..values import text_of
from ..walks import Walks


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought. `window` and `groups`, unless None, are to be saved as late in the transaction as can.

    `limits`: what was set of the queue's, as far as it is known.
    """

    jobs: tuple[ClaimedJob, ...] = ()
    wait: float | None = None
    window: Window | None = None
    groups: Groups | None = None
    limits: QueueLimits | None = None


def claim(trip: Trip, worker: UUID, policy: QueuePolicy, wanted: int, alone: bool, walks: Walks) -> Claim:
    """Claim up to `wanted` jobs for a worker whose lease lasts."""
    room = room_of(trip, policy, wanted)
    slots = min(wanted, room.slots)
    if slots <= 0:
        return Claim(wait=room.wait, window=room.window, limits=room.limits)
    for queue, task in trip.run("expire_jobs", queues=json.dumps([policy.name]), now=text_of(trip.now)):
        trip.count(queue, task, State.EXPIRED)
    heads = read_heads(trip, policy.name, alone)
    if room.laned:
        by_turns = claim_by_turns(
            trip, policy, room, wanted, heads, alone, lambda ids: _claim_given(trip, worker, policy.name, ids), walks
        )
        return Claim(by_turns.jobs, by_turns.wait, room.window, by_turns.groups, room.limits)
    due, wait = due_of(trip, heads)
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
    return Claim(tuple(jobs), wait, room.window, limits=room.limits)


def _claim_priority(trip: Trip, worker: UUID, queue: str, priority: int, wanted: int, alone: bool) -> list[ClaimedJob]:
    claimed = trip.run(
        "claim_alone_jobs" if alone else "claim_jobs",
        worker=worker.hex,
        queue=queue,
        priority=priority,
        wanted=wanted,
        now=text_of(trip.now),
    )
    # RETURNING has no order
    return sorted(_claimed(trip, queue, claimed), key=start_order)


def _claim_given(trip: Trip, worker: UUID, queue: str, ids: Sequence[UUID]) -> list[ClaimedJob]:
    given = json.dumps([id.hex for id in ids])
    claimed = trip.run("claim_given_jobs", worker=worker.hex, ids=given, now=text_of(trip.now))
    places = {id: place for place, id in enumerate(ids)}
    return sorted(_claimed(trip, queue, claimed), key=lambda job: places[job.id])


def _claimed(trip: Trip, queue: str, rows: Sequence[Any]) -> list[ClaimedJob]:
    monotonic = clock.monotonic() - (clock.now() - trip.now).total_seconds()
    return [claimed_job(row, queue, trip.now, monotonic) for row in rows]
