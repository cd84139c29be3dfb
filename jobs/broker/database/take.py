"""Taking a job in: as a new row, or as one of the outbox or a dead letter whose next run begins."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import OperationalError

from ... import reasons
from ...states import State
from ..records import BEHIND, KeyMode, KeyRule, NewJob, Pushed, PushStatus
from .connection import Trip
from .values import MAX_REASON, expires_at, id_of, ready_at, text_of

#: How often a job is offered while the holder of its key ends in between.
KEY_PATIENCE = 20


def take_all(trip: Trip, jobs: Sequence[NewJob]) -> tuple[Pushed, ...]:
    """Take jobs in, and answer in order."""
    trip.lock_keys(jobs)
    if any(job.rule for job in jobs):
        return tuple(_take_by_rule(trip, job) if job.rule else _take_known(trip, job) for job in jobs)
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
            trip.count(job.queue, job.task, State.EXPIRED)
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


def _take_by_rule(trip: Trip, job: NewJob) -> Pushed:
    """Take in a job that says what is to happen where its key is held; who asks holds the lock of the key."""
    found = trip.run("read_job", id=job.id.hex, now=trip.text_now)
    is_row = bool(found)
    if is_row and (found[0][0] != job.run or found[0][1] != State.PENDING or found[0][2]):
        return _take_known(trip, job)
    if is_row and trip.run("is_elsewhere", queue=job.queue):
        # the other broker's relay takes it
        return Pushed(job.id, PushStatus.KNOWN)
    rule = job.rule or BEHIND
    if rule.mode is KeyMode.THROTTLE:
        return _take_throttled(trip, job, rule)
    for _round in range(KEY_PATIENCE):
        line = {State(state): id_of(id) for id, state in trip.run("read_line", queue=job.queue, key=job.key)}
        last = line.get(State.PENDING)
        if last == job.id and len(line) > 1:
            return Pushed(job.id, PushStatus.BEHIND, line.get(State.ACTIVE) or line[State.QUEUED])
        into = None if last == job.id else last or line.get(State.QUEUED)
        if into is not None:
            if trip.take_over(into, job):
                return _merged(trip, job, into, is_row=is_row)
        elif State.ACTIVE in line:
            if not is_row:
                trip.insert_behind(job)
            elif not trip.run("wait_behind", id=job.id.hex, run=job.run):
                return Pushed(job.id, PushStatus.KNOWN)
            return Pushed(job.id, PushStatus.BEHIND, line[State.ACTIVE])
        else:
            answer = _take(trip, job)
            if answer.status is not PushStatus.DUPLICATE:
                return answer
    raise OperationalError(f"the key {job.key!r} of queue {job.queue!r} changes hands too fast; enqueue again")


def _take_throttled(trip: Trip, job: NewJob, rule: KeyRule) -> Pushed:
    first = trip.run("read_throttle", queue=job.queue, key=job.key, now=trip.text_now)
    if first and id_of(first[0][0]) != job.id:
        return Pushed(job.id, PushStatus.DUPLICATE, id_of(first[0][0]))
    answer = _take_known(trip, job)
    if answer.status is PushStatus.ACCEPTED:
        trip.save_throttle(job, rule.seconds)
    return answer


def _merged(trip: Trip, job: NewJob, into: UUID, *, is_row: bool) -> Pushed:
    if is_row:
        reason = (reasons.MERGED % {"holder": into})[:MAX_REASON]
        ended = {"id": job.id.hex, "run": job.run, "state": str(State.CANCELLED), "now": trip.text_now}
        if trip.run("end_pending", **ended, reason=reason):
            trip.count(job.queue, job.task, State.CANCELLED)
    return Pushed(job.id, PushStatus.MERGED, into)
