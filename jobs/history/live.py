"""Jobs as they are now, where the rows are not the queue: the history is late, and a live job may have no row yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from django.db import connections
from django.utils.translation import gettext as _

from ..broker import get_broker
from ..broker.database.values import text_of_tags
from ..broker.facts import Lag
from ..broker.records import FoundJob
from ..conf import jobs_settings
from ..defined import find_queue
from ..errors import BrokerAway, QueueBroken, Refused, UnknownQueue
from ..models import Job
from ..policy import MOST_KEPT, QueuePolicy, Retention
from ..states import ENDED, State
from . import facts

#: Transactions that take in what one queue tells; thousands of facts each.
MOST = 1_000


def row_of(job_id: UUID) -> Job | None:
    """The job's row as it is now, or one that stands for a live job without a row; None: no such job is known.

    Raises `BrokerAway` where only the broker could know it.
    """
    row = _row(job_id)
    # of a dead letter a broker may have to tell that it was discarded
    if get_broker().rows_are_the_queue or (row is not None and row.state in ENDED - {State.FAILED}):
        return row
    hear([row.queue] if row is not None else None)
    return as_it_lives(_row(job_id), job_id)


def as_it_lives(row: Job | None, job_id: UUID) -> Job | None:
    """The row with what the broker knows of the job; the row alone where it has ended, or the broker is away.

    Raises `BrokerAway` where there is no row, either.
    """
    broker = get_broker()
    if broker.rows_are_the_queue or (row is not None and row.state in ENDED | {State.BLOCKED, State.PENDING}):
        return row
    try:
        found = find(job_id, None if row is None else row.queue)
    except BrokerAway:
        if row is None:
            raise
        return row
    return row if found is None else _with(row, found)


def find(job_id: UUID, queue: str | None = None) -> FoundJob | None:
    """The job as its broker knows it, if it lives; looks in every queue where none is given. Raises `BrokerAway`."""
    broker = get_broker()
    for name in sorted(broker.queues()) if queue is None else [queue]:
        if (found := broker.find(name, job_id)) is not None:
            return found
    return None


def as_they_live(rows: Iterable[Job]) -> list[Job]:
    """The rows with what the broker knows of the live ones, by one call a queue; raises `BrokerAway`."""
    rows, broker = list(rows), get_broker()
    if broker.rows_are_the_queue:
        return rows
    by_queue: dict[str, list[UUID]] = {}
    for row in rows:
        if row.state not in ENDED:
            by_queue.setdefault(row.queue, []).append(row.pk)
    found = {job.id: job for queue, ids in by_queue.items() for job in broker.find_all(queue, ids)}
    return [_with(row, found[row.pk]) if row.pk in found else row for row in rows]


def active_ids() -> frozenset[UUID] | None:
    """The jobs that run now by the broker's word; None: the rows say it, also while the broker is away."""
    broker = get_broker()
    if broker.rows_are_the_queue:
        return None
    try:
        return frozenset().union(*(broker.list_active(queue) for queue in broker.queues()))
    except BrokerAway:
        return None


def hear(names: list[str] | None = None) -> None:
    """Let the history hold what these queues, or all, tell at this moment; nothing where the broker is away.

    Not inside a transaction of the caller's: others would wait for its end.
    """
    broker = get_broker()
    if broker.rows_are_the_queue or connections[jobs_settings().database].in_atomic_block:
        return
    try:
        for name in sorted(broker.queues()) if names is None else names:
            with suppress(QueueBroken):
                _catch_up(name)
    except BrokerAway:
        pass


def hear_all() -> None:
    """Let the history hold what all queues tell at this moment: each live job has a row then.

    Raises `BrokerAway` where one cannot be heard, and `Refused` inside a transaction of the caller's.
    """
    if get_broker().rows_are_the_queue:
        return
    if connections[jobs_settings().database].in_atomic_block:
        raise Refused(_("the jobs in Redis cannot be heard of inside a transaction: call this after its commit"))
    for name in sorted(get_broker().queues()):
        _catch_up(name)


def lag(queue: str) -> Lag:
    """How far the history is behind of what a queue told; not at all where the rows are the queue."""
    try:
        return get_broker().lag(queue, facts.position(queue)[1]) or Lag()
    except QueueBroken:  # the status says what is wrong with it
        return Lag()


def whole_lag(lags: Sequence[Lag]) -> Lag:
    """How far the history is behind of all queues: the longest time, and the facts of all."""
    longest = max(lags, key=lambda lag: lag.seconds, default=Lag())
    return replace(longest, facts=sum(lag.facts for lag in lags), more=any(lag.more for lag in lags))


def policy_of(queue: str) -> QueuePolicy:
    """The queue's policy; of one that no code here defines one that keeps everything: `keep.prune` decides of it."""
    try:
        return find_queue(queue).policy
    except UnknownQueue:
        return QueuePolicy(queue, retention=Retention(completed=MOST_KEPT, failed=MOST_KEPT))


def _catch_up(queue: str) -> None:
    facts.catch_up(get_broker(), policy_of(queue), MOST)


def _row(job_id: UUID) -> Job | None:
    return Job.objects.using(jobs_settings().database).filter(pk=job_id).first()


def _with(row: Job | None, found: FoundJob) -> Job:
    if row is None:
        row = Job(id=found.id, queue=found.queue, task=found.task, created_at=found.ready_at)
        row._state.db = jobs_settings().database
        row.scope, row.group, row.tags = found.scope, found.group, text_of_tags(found.tags)
    row.run, row.state, row.message = found.run, found.state, found.message
    row.stored_priority, row.key = found.priority, found.key
    row.ready_at, row.expires_at = found.ready_at, found.expires_at
    row.attempts, row.starts, row.lost = found.attempts, found.starts, found.lost
    row.cancel_requested, row.worker_id, row.claimed_at = found.cancel_requested, found.worker, found.claimed_at
    if found.state is State.ACTIVE:
        # that of the start before
        row.started_at = None
    return row
