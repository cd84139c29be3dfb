"""How the jobs of a batch are accepted, and those that follow its end: all in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from uuid import UUID

from django.db import connections, transaction

from .. import clock
from ..broker.database import batches, rows
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..states import State
from .accept import Accepted, checked
from .after_commit import in_transaction
from .flow import Node, accept_flow


def open_block() -> transaction.Atomic:
    """The transaction of all that a block adds, or a part of the caller's; raises what `accept` raises of the place."""
    checked([])
    return rows.block(connections[jobs_settings().database])


def stands_alone() -> bool:
    """Whether no transaction is open on the jobs' database."""
    return not in_transaction(connections[jobs_settings().database])


def write_batch(id: UUID, name: str) -> None:
    """Write the row of a new batch, in the open transaction."""
    from ..models import Batch

    Batch.objects.using(jobs_settings().database).create(id=id, name=name, created_at=clock.now())


def hold_open(id: UUID) -> bool:
    """Let the batch not end before the open transaction does; False: it has ended, or somebody cancelled it."""
    connection = connections[jobs_settings().database]
    with connection.cursor() as cursor:
        return batches.lock_open_batch(cursor, connection.vendor, id)


def add(batch: UUID, nodes: Sequence[Node]) -> list[Accepted]:
    """Take jobs into a batch, in the open transaction; answers in order."""
    connection = connections[jobs_settings().database]
    accepted = accept_flow(nodes)
    with connection.cursor() as cursor:
        batches.insert_members(cursor, connection.vendor, batch, [node.job.id for node in nodes])
    return accepted


def add_follower(batch: UUID, role: str, job: NewJob) -> None:
    """Let a job follow the batch's end, in the open transaction: it is blocked until then."""
    connection = connections[jobs_settings().database]
    rows.insert_rows(connection, checked([job]), State.BLOCKED)
    with connection.cursor() as cursor:
        batches.insert_members(cursor, connection.vendor, batch, [job.id], role)


def savepoint() -> AbstractContextManager[None]:
    """A part of the open transaction that is taken back alone if it fails."""
    return rows.block(connections[jobs_settings().database])
