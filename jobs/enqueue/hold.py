"""A job that others wait for is held to tell how it ends, wherever it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from ..broker import get_broker
from ..broker.database import edges, rows
from ..broker.records import FoundJob, NewJob
from ..errors import UnknownJob
from ..states import ENDED, State

#: Rows of one statement.
CHUNK = 5_000


def hold(connection: BaseDatabaseWrapper, named: Sequence[UUID]) -> Mapping[UUID, State]:
    """Let nobody end these jobs unseen: each has a row that says somebody waits for it. In a transaction.

    Returns those of which the broker says that they have ended, and that have no row. Raises `UnknownJob`.
    """
    from ..models import Job

    found: dict[UUID, tuple[str, str]] = {}
    for chunk in chunks(named):
        held = Job.objects.using(connection.alias).select_for_update().order_by("pk").filter(pk__in=chunk)
        found.update((id, (queue, state)) for id, queue, state in held.values_list("pk", "queue", "state"))
    over = _find_without_row(connection, [id for id in named if id not in found])
    _tell_broker(found)
    with connection.cursor() as cursor:
        for chunk in chunks([id for id in named if id not in over]):
            edges.note_awaited(cursor, connection.vendor, chunk)
    return over


def _tell_broker(found: Mapping[UUID, tuple[str, str]]) -> None:
    """Let a broker that is not the rows tell all of how those end that it has."""
    by_queue: dict[str, list[UUID]] = {}
    for id, (queue, state) in found.items():
        if state in (State.QUEUED, State.ACTIVE):
            by_queue.setdefault(queue, []).append(id)
    for queue, ids in by_queue.items():
        for chunk in chunks(ids):
            get_broker().await_ends(queue, chunk)


def _find_without_row(connection: BaseDatabaseWrapper, missing: Sequence[UUID]) -> Mapping[UUID, State]:
    broker, over, live = get_broker(), {}, []
    left = list(missing)
    for queue in sorted(broker.queues()) if left else ():
        for chunk in chunks(left):
            for id, state in broker.await_ends(queue, chunk).items():
                left.remove(id)
                if state in ENDED:
                    over[id] = state
                elif found := broker.find(queue, id):
                    live.append(_row_of(found))
    if left:
        text = "nothing is known of it any more: it was rolled back, or retention has removed it"
        raise UnknownJob(f"job {left[0]} cannot be waited for: {text}")
    if live:
        rows.insert_rows(connection, live, State.QUEUED)
    return over


def _row_of(found: FoundJob) -> NewJob:
    """What a row says of a job that only its broker knows; the rest comes with the facts."""
    return NewJob(
        id=found.id,
        run=found.run,
        queue=found.queue,
        task=found.task,
        message=found.message,
        priority=found.priority,
        key=found.key,
        ready_at=found.ready_at,
        expires_at=found.expires_at,
        scope=found.scope,
        group=found.group,
        tags=found.tags,
        lane=found.group,
    )


def chunks(ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    """The ids in pieces of one statement."""
    for start in range(0, len(ids), CHUNK):
        yield list(ids[start : start + CHUNK])
