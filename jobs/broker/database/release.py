"""Giving back the jobs of processes that are gone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ...faults import point
from ...models import AttemptOutcome
from ...states import State
from ..contract import LOSS_RULES
from ..records import ProcessRecord, Reaped, Released
from ..tally import LOST as COUNTED_AS_LOST
from .connection import JobsDatabase, Trip
from .values import id_of, moment_of, text_of

LOST, INTERRUPTED = AttemptOutcome.LOST.value, AttemptOutcome.INTERRUPTED.value


def release(database: JobsDatabase, process: ProcessRecord, *, lost: bool) -> Released:
    """Give back the jobs of a process that is gone; see the contract."""
    with database.write() as trip:
        found = trip.lock_process(process.id)
        ending = (found and found[0][-1]) or (LOST if lost else INTERRUPTED)
        states = _release_jobs(trip, process.id, process.label, ending)
        remaining = _end_lease(trip, process.id, ending)
        point("release.before_commit")
    point("release.after_commit")
    return Released(len(states), remaining)


def reap(database: JobsDatabase, queues: Sequence[str], before: datetime | None) -> Reaped:
    """Give back what processes hold whose lease ended before a moment, a transaction each, and end what came too late.

    None: no lease is looked at.
    """
    names = json.dumps(list(queues))
    with database.write() as trip:
        _restart_future_leases(trip)
        orphans = trip.run("read_orphan_workers", queues=names)
        expired = trip.run("expire_jobs", queues=names, now=text_of(trip.now))
        for queue, task in expired:
            trip.count(queue, task, State.EXPIRED)
    states: list[State] = []
    done: list[str] = []
    while (given_back := _reap_next(database, names, done, before)) is not None:
        states += given_back
    for (worker,) in orphans:
        with database.write() as trip:
            states += _release_jobs(trip, id_of(worker), "", LOST)
    return Reaped(lost=len(states), failed=states.count(State.FAILED), expired=len(expired))


def _reap_next(database: JobsDatabase, queues: str, done: list[str], before: datetime | None) -> list[State] | None:
    """Give back the jobs of the next process whose lease has ended, and note it as done; None: there is no other."""
    with database.write() as trip:
        moment = None if before is None else text_of(before)
        found = trip.run("lock_ended_process", queues=queues, before=moment, done=json.dumps(done))
        if not found:
            return None
        id, host, pid, ending = found[0]
        worker = id_of(id)
        done.append(worker.hex)
        states = _release_jobs(trip, worker, f"{host}:{pid}", ending or LOST)
        _end_lease(trip, worker, ending or LOST)
        point("reap.before_commit")
    return states if (ending or LOST) == LOST else []


def _release_jobs(trip: Trip, worker: UUID, label: str, ending: str) -> list[State]:
    """Give back all jobs of one process that nobody holds locked; returns the states that they reached."""
    now = text_of(trip.now)
    if ending == LOST:
        rules = {"alone_after": LOSS_RULES.alone_after, "dead_after": LOSS_RULES.dead_after}
        moved = trip.run("release_lost", worker=worker.hex, now=now, **rules)
    else:
        moved = trip.run("release_interrupted", worker=worker.hex, now=now)
    states: list[State] = []
    attempts: list[dict[str, Any]] = []
    for id, run, queue, state, claimed_at, task in moved:
        states.append(State(state))
        trip.told.add(queue)
        if ending == LOST:
            trip.count(queue, task, COUNTED_AS_LOST)
        if state != State.QUEUED:
            trip.count(queue, task, state)
        attempts.append(
            {
                "job": id,
                "run": run,
                "number": None,
                "outcome": ending,
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


def _end_lease(trip: Trip, process: UUID, ending: str) -> tuple[UUID, ...]:
    """End the lease of a process; returns the jobs that remain, whose way back is noted then."""
    remaining = tuple(sorted(id_of(id) for (id,) in trip.run("read_held", worker=process.hex)))
    if remaining:
        trip.run("end_process", process=process.hex, ending=ending, now=text_of(trip.now))
    else:
        trip.run("delete_process", process=process.hex)
    return remaining


def _restart_future_leases(trip: Trip) -> None:
    """After the clock was set back: let a lease last its own length, not as long as the clock needs to catch up."""
    for id, renewed_at, lease_until in trip.run("read_future_leases", now=text_of(trip.now)):
        term = moment_of(lease_until) - moment_of(renewed_at)
        trip.run(
            "renew_processes",
            ids=json.dumps([str(id)]),
            now=text_of(trip.now),
            lease_until=text_of(trip.now + term),
            lease=term.total_seconds(),
            clock_offset=0.0,  # what it measured is void; a living process says it anew
        )
