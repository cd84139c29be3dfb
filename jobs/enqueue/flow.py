"""How jobs are accepted that wait for others: all of a flow commit together, or none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db import DataError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import reasons
from ..broker import get_broker
from ..broker.database import edges, rows
from ..broker.records import FoundJob, NewJob
from ..conf import jobs_settings
from ..errors import BrokerUnavailable, InvalidArguments, UnknownJob
from ..faults import point
from ..states import ENDED, State
from .accept import Accepted, checked, in_transaction, push_after_commit, write
from .unblock import hint, unblock

#: Rows of one statement.
CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Node:
    """A job of a flow, the jobs that it waits for, and what follows if one of them does not complete."""

    job: NewJob
    after: tuple[UUID, ...] = ()
    on_failure: str = ""


def accept_flow(nodes: Sequence[Node]) -> list[Accepted]:
    """Take the jobs of a flow in, all or none, and answer in order; of each edge both jobs are known then.

    In the caller's transaction, or in one of its own. Raises what `accept` raises, and `UnknownJob` for a job to wait
    for of which nothing is known any more.
    """
    connection = connections[jobs_settings().database]
    marked = checked([node.job for node in nodes])
    alone = not in_transaction(connection)
    try:
        with rows.block(connection):
            return _write_flow(connection, [Node(j, n.after, n.on_failure) for j, n in zip(marked, nodes, strict=True)])
    except DataError as error:
        text = " ".join(str(error).split())
        raise InvalidArguments(f"the job database cannot hold this ({text}): its encoding must be UTF-8") from error
    except (OperationalError, InterfaceError) as error:
        if not alone:
            raise
        text = " ".join(str(error).split())
        raise BrokerUnavailable(f"the job database did not answer ({text}); nothing was enqueued") from error


def _write_flow(connection: BaseDatabaseWrapper, nodes: Sequence[Node]) -> list[Accepted]:
    own = {node.job.id for node in nodes}
    named = sorted({awaited for node in nodes for awaited in node.after} - own)
    over = _hold(connection, named)
    free = [node.job for node in nodes if not node.after]
    blocked = [node for node in nodes if node.after]
    if free:
        write(connection, free)
    rows.insert_rows(connection, [node.job for node in blocked], State.BLOCKED)
    _set_rules(connection, blocked)
    _write_edges(blocked, over)
    inner = sorted({awaited for node in blocked for awaited in node.after} & own)
    with connection.cursor() as cursor:
        for chunk in _chunks(inner):
            edges.note_awaited(cursor, connection.vendor, chunk)
    _decide_at_once(connection, blocked, named, over)
    point("enqueue.before_commit")
    return [Accepted(node.job.id, None if node.job.key is not None else True) for node in nodes]


def _hold(connection: BaseDatabaseWrapper, named: Sequence[UUID]) -> Mapping[UUID, State]:
    """Let nobody end these jobs unseen: each has a row that says somebody waits for it.

    Returns those of which the broker says that they have ended, and that have no row.
    """
    from ..models import Job

    found: dict[UUID, tuple[str, str]] = {}
    for chunk in _chunks(named):
        held = Job.objects.using(connection.alias).select_for_update().order_by("pk").filter(pk__in=chunk)
        found.update((id, (queue, state)) for id, queue, state in held.values_list("pk", "queue", "state"))
    over = _find_without_row(connection, [id for id in named if id not in found])
    _tell_broker(found)
    with connection.cursor() as cursor:
        for chunk in _chunks([id for id in named if id not in over]):
            edges.note_awaited(cursor, connection.vendor, chunk)
    return over


def _tell_broker(found: Mapping[UUID, tuple[str, str]]) -> None:
    """Let a broker that is not the rows tell all of how those end that it has."""
    by_queue: dict[str, list[UUID]] = {}
    for id, (queue, state) in found.items():
        if state in (State.QUEUED, State.ACTIVE):
            by_queue.setdefault(queue, []).append(id)
    for queue, ids in by_queue.items():
        for chunk in _chunks(ids):
            get_broker().await_ends(queue, chunk)


def _find_without_row(connection: BaseDatabaseWrapper, missing: Sequence[UUID]) -> Mapping[UUID, State]:
    broker, over, live = get_broker(), {}, []
    left = list(missing)
    for queue in sorted(broker.queues()) if left else ():
        for chunk in _chunks(left):
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
    )


def _set_rules(connection: BaseDatabaseWrapper, blocked: Iterable[Node]) -> None:
    from ..models import Job

    by_rule: dict[str, list[UUID]] = {}
    for node in blocked:
        if node.on_failure not in ("", "fail"):
            by_rule.setdefault(node.on_failure, []).append(node.job.id)
    for rule, ids in by_rule.items():
        for chunk in _chunks(ids):
            Job.objects.using(connection.alias).filter(pk__in=chunk).update(on_failure=rule)


def _write_edges(blocked: Iterable[Node], over: Mapping[UUID, State]) -> None:
    from ..models import Edge

    every = (
        Edge(
            waiting_id=node.job.id,
            position=position,
            awaited_id=awaited,
            state=over.get(awaited, ""),
            error=reasons.NOT_KEPT if awaited in over else "",
        )
        for node in blocked
        for position, awaited in enumerate(node.after)
    )
    alias = jobs_settings().database
    while chunk := list(islice(every, CHUNK)):
        Edge.objects.using(alias).bulk_create(chunk, batch_size=500)


def _decide_at_once(
    connection: BaseDatabaseWrapper, blocked: Sequence[Node], named: Collection[UUID], over: Mapping[UUID, State]
) -> None:
    """What has ended already counts as ended."""
    straight, done = get_broker().rows_are_the_queue, edges.Decided()
    if over:
        decided = [node.job.id for node in blocked if not over.keys().isdisjoint(node.after)]
        with connection.cursor() as cursor:
            trip = edges.trip_on(connection, cursor)
            edges.release(trip, decided, done, straight=straight)
            trip.write_counts()
        hint(done.queued)
        push_after_commit(connection, done.pending)
    if named:
        unblock(named)


def _chunks(ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    for start in range(0, len(ids), CHUNK):
        yield list(ids[start : start + CHUNK])
