"""How jobs are accepted that wait for others: all of a flow commit together, or none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import reasons
from ..broker import get_broker
from ..broker.database import edges, rows
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..faults import point
from ..states import State
from . import sequences
from .accept import Accepted, checked, or_invalid, or_unavailable, write
from .after_commit import in_transaction, push_after_commit
from .hold import CHUNK, chunks, hold
from .unblock import hint, unblock


@dataclass(frozen=True, slots=True)
class Node:
    """A job of a flow, the jobs that it waits for, and what follows if one of them does not complete.

    `on_failure`: as for `using`, or `ONLY_IF_FAILED` of one that waits for one job.
    """

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
    with or_unavailable(not in_transaction(connection)), or_invalid(), rows.block(connection):
        return _write_flow(connection, [Node(j, n.after, n.on_failure) for j, n in zip(marked, nodes, strict=True)])


def _write_flow(connection: BaseDatabaseWrapper, nodes: Sequence[Node]) -> list[Accepted]:
    own = {node.job.id for node in nodes}
    named = sorted({awaited for node in nodes for awaited in node.after} - own)
    over = hold(connection, named)
    free = [node.job for node in nodes if not node.after]
    blocked = [node for node in nodes if node.after]
    if free:
        write(connection, free)
    rows.insert_rows(connection, [node.job for node in blocked], State.BLOCKED)
    sequences.note(connection, [node.job for node in blocked if node.job.sequence])
    _set_rules(connection, blocked)
    _write_edges(blocked, over)
    inner = sorted({awaited for node in blocked for awaited in node.after} & own)
    with connection.cursor() as cursor:
        for chunk in chunks(inner):
            edges.note_awaited(cursor, connection.vendor, chunk)
    _decide_at_once(connection, blocked, named, over)
    point("enqueue.before_commit")
    return [Accepted(node.job.id, None if node.job.key is not None else True) for node in nodes]


def _set_rules(connection: BaseDatabaseWrapper, blocked: Iterable[Node]) -> None:
    from ..models import Job

    by_rule: dict[str, list[UUID]] = {}
    for node in blocked:
        if node.on_failure not in ("", "fail"):
            by_rule.setdefault(node.on_failure, []).append(node.job.id)
    for rule, ids in by_rule.items():
        for chunk in chunks(ids):
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
