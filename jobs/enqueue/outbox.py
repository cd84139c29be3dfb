"""The outbox: rows in state `pending`, accepted in SQL and not yet with the broker (G1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import clock, reasons
from ..broker import get_broker
from ..broker.database import pending
from ..broker.records import NewJob, Pushed, PushStatus
from ..conf import jobs_settings
from ..faults import point
from ..states import State

#: Jobs per trip to the broker (DESIGN §9).
MOST_A_CALL = 1_000
#: The relay leaves rows of this age, in seconds, to the `on_commit` of their own transaction.
RELAY_AFTER = 1.0


def push_pending(ids: Sequence[UUID] | None = None, longest: float = math.inf) -> int:
    """Give rows in state `pending` to the broker; returns how many it took.

    With `ids`: those rows, where they are still pending. Without: the relay's work, all rows older than a second.
    After `longest` seconds it begins nothing more, whatever is left.
    """
    connection = connections[jobs_settings().database]
    until = clock.monotonic() + longest
    taken = 0
    while True:
        waiting = pending.read_pending(connection, ids, RELAY_AFTER if ids is None else 0.0, MOST_A_CALL)
        if not waiting:
            return taken
        if ids is None:
            point("relay.before")
        moved = 0
        for job, answer in push_each_queue(waiting):
            if answer.status is PushStatus.ACCEPTED:
                taken += 1
                moved += 1
            elif answer.status is PushStatus.DUPLICATE and clock.monotonic() < until:
                moved += _refuse_pending(connection, job, answer)
        if len(waiting) < MOST_A_CALL or not moved or clock.monotonic() >= until:
            return taken


def push_each_queue(jobs: Sequence[NewJob]) -> Iterator[tuple[NewJob, Pushed]]:
    """Push the jobs, one call a queue; yields each with its answer."""
    by_queue: dict[str, list[NewJob]] = {}
    for job in jobs:
        by_queue.setdefault(job.queue, []).append(job)
    for queue, of_queue in by_queue.items():
        yield from zip(of_queue, get_broker().push(queue, of_queue).answers, strict=True)


def _refuse_pending(connection: BaseDatabaseWrapper, job: NewJob, answer: Pushed) -> int:
    if job.run > 1:
        text = reasons.RETRY_REFUSED % {"holder": answer.holder}
        return int(pending.end_pending(connection, job.id, job.run, State.FAILED, text))
    text = reasons.DUPLICATE % {"holder": answer.holder}
    return int(pending.end_pending(connection, job.id, job.run, State.CANCELLED, text))
