"""Taking a job in: as a new row, or as one of the outbox or a dead letter whose next run begins."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import OperationalError

from ...states import State
from ..records import NewJob, Pushed, PushStatus
from .connection import Trip
from .values import expires_at, id_of, ready_at, text_of

#: How often a job is offered while the holder of its key ends in between.
KEY_PATIENCE = 20


def take_all(trip: Trip, jobs: Sequence[NewJob]) -> tuple[Pushed, ...]:
    """Take jobs in, and answer in order."""
    trip.lock_keys(jobs)
    new = trip.insert_all(jobs)
    answers = []
    for job in jobs:
        if job.id in new:
            new.discard(job.id)
            answers.append(Pushed(job.id, PushStatus.ACCEPTED))
        else:
            answers.append(_take_known(trip, job))
    return tuple(answers)


def _take_known(trip: Trip, job: NewJob) -> Pushed:
    for _round in range(KEY_PATIENCE):
        answer = _take(trip, job)
        if answer.status is not PushStatus.DUPLICATE or answer.holder is not None:
            return answer
    raise OperationalError(f"the key {job.key!r} of queue {job.queue!r} changes hands too fast; enqueue again")


def _take(trip: Trip, job: NewJob) -> Pushed:
    if trip.insert(job):
        return Pushed(job.id, PushStatus.ACCEPTED)
    found = trip.run("read_job", id=job.id.hex, now=trip.text_now)
    if not found:
        return _duplicate(trip, job)
    run, state, has_expired, _queue = found[0]
    if trip.run("is_elsewhere", queue=job.queue):
        # the other broker's relay takes it
        return Pushed(job.id, PushStatus.KNOWN)
    if run == job.run and state == State.PENDING:
        if has_expired:
            trip.run("expire_pending", id=job.id.hex, run=run, now=trip.text_now)
            trip.count(job.queue, expired=1)
            return Pushed(job.id, PushStatus.ACCEPTED)
        moved = bool(trip.run("queue_pending", id=job.id.hex, run=run, queue=job.queue, key=job.key))
    elif run < job.run and state == State.FAILED:
        moved = _take_next_run(trip, job)
    else:
        return Pushed(job.id, PushStatus.KNOWN)
    return Pushed(job.id, PushStatus.ACCEPTED) if moved else _duplicate(trip, job)


def _take_next_run(trip: Trip, job: NewJob) -> bool:
    expires = expires_at(job, trip.now)
    moved = trip.run(
        "queue_next_run",
        id=job.id.hex,
        run=job.run,
        queue=job.queue,
        key=job.key,
        priority=job.priority,
        message=job.message,
        ready_at=text_of(ready_at(job, trip.now)),
        now=trip.text_now,
        expires_at=None if expires is None else text_of(expires),
    )
    return bool(moved)


def _duplicate(trip: Trip, job: NewJob) -> Pushed:
    holder = trip.run("read_key_holder", queue=job.queue, key=job.key)
    return Pushed(job.id, PushStatus.DUPLICATE, id_of(holder[0][0]) if holder else None)
