"""Giving back the jobs of processes that are gone."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

from ...faults import point
from ...models import AttemptOutcome
from ...states import State
from ..contract import LOSS_RULES
from ..records import Reaped
from .connection import Trip
from .values import moment_of, text_of

#: A reaper that waited longer than this for the write lock, in seconds, cannot blame others for not renewing.
LATE = 1.0


def give_back(trip: Trip, worker: str | UUID, label: str, *, lost: bool) -> list[State]:
    """Give back all jobs of one process and end its lease; returns the states that they reached."""
    now = text_of(trip.now)
    if lost:
        moved = trip.run(
            "give_back_lost",
            worker=worker,
            now=now,
            alone_after=LOSS_RULES.alone_after,
            dead_after=LOSS_RULES.dead_after,
        )
    else:
        moved = trip.run("give_back_interrupted", worker=worker, now=now)
    trip.run("delete_worker", worker=worker)
    outcome = AttemptOutcome.LOST if lost else AttemptOutcome.INTERRUPTED
    states: list[State] = []
    attempts = []
    for id, run, queue, state, claimed_at in moved:
        states.append(State(state))
        trip.told.add(queue)
        numbers = {"lost": 1} if lost else {}
        if state != State.QUEUED:
            numbers[state] = 1
        trip.count(queue, **numbers)
        attempts.append(
            {
                "job": id,
                "run": run,
                "number": None,
                "outcome": outcome.value,
                "worker": label,
                "claimed_at": text_of(moment_of(claimed_at)),
                "started_at": None,
                "ended_at": now,
                "error": "",
                "traceback": "",
            }
        )
    if attempts:
        trip.run_each("insert_attempt", attempts)
    return states


def read_label(trip: Trip, worker: UUID) -> str:
    """What people read for a process: `host:pid`; empty if it is unknown."""
    found = trip.run("read_worker", worker=worker.hex, now=trip.text_now)
    return f"{found[0][0]}:{found[0][1]}" if found else ""


def reap(trip: Trip, grace: float) -> Reaped:
    """Give back, as lost, what processes with an ended lease hold; end queued jobs whose time has passed."""
    _restart_future_leases(trip)
    states: list[State] = []
    ended = trip.run("read_ended_leases", before=text_of(trip.now - timedelta(seconds=grace)))
    if trip.waited > LATE:
        for id, _, _, renewed_at, lease_until in ended:
            term = moment_of(lease_until) - moment_of(renewed_at)
            trip.run("extend_lease", worker=id, lease_until=text_of(trip.now + term))
    else:
        for id, host, pid, _, _ in ended:
            states += give_back(trip, id, f"{host}:{pid}", lost=True)
            point("reap.before_commit")
        for (id,) in trip.run("read_orphan_workers"):
            states += give_back(trip, id, "", lost=True)
    expired = trip.run("expire_jobs", now=text_of(trip.now))
    for (queue,) in expired:
        trip.count(queue, expired=1)
    return Reaped(lost=len(states), failed=states.count(State.FAILED), expired=len(expired))


def _restart_future_leases(trip: Trip) -> None:
    """After the clock was set back: let a lease last its own length, not as long as the clock needs to catch up."""
    for id, renewed_at, lease_until in trip.run("read_future_leases", now=text_of(trip.now)):
        term = moment_of(lease_until) - moment_of(renewed_at)
        trip.run(
            "renew_workers",
            ids=json.dumps([str(id)]),
            now=text_of(trip.now),
            lease_until=text_of(trip.now + term),
            lease=term.total_seconds(),
            clock_offset=0.0,  # what it measured is void; a living process says it anew
        )
