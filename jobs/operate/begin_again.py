"""The next run of a dead letter, and before it that of those that it has waited for."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from ..broker.database import edges, pending
from ..models import Edge, Job
from ..states import LIVE, State


def begin_again(connection: BaseDatabaseWrapper, job_id: UUID, message: str | None = None) -> dict[UUID, int]:
    """Let a dead letter begin its next run, in the open transaction; returns the runs that begin, by job.

    Where it never ran since others failed that it waited for, these begin first, and it waits for them again. One of a
    sequence goes to its end.
    `message` takes the place of its own arguments.
    """
    begun: dict[UUID, int] = {}
    todo = [job_id]
    while todo:
        id = todo.pop()
        if id in begun:
            continue
        again = _wait_again(connection, id)
        waits = again or Job.objects.using(connection.alias).filter(pk=id, sequence__gt="").exists()
        begin = edges.block_next_run if waits else pending.start_next_run
        run = begin(connection, id, message if id == job_id else None)
        if run is not None:
            begun[id] = run
            todo += again
    return begun


def wait_again(connection: BaseDatabaseWrapper, ids: Collection[UUID]) -> list[UUID]:
    """Those of these jobs that have waited for one that did not complete, or are of a sequence."""
    failed = Edge.objects.using(connection.alias).filter(waiting_id__in=ids).exclude(state__in=("", State.COMPLETED))
    ordered = Job.objects.using(connection.alias).filter(pk__in=ids, sequence__gt="")
    return sorted({*failed.values_list("waiting_id", flat=True), *ordered.values_list("pk", flat=True)})


def _wait_again(connection: BaseDatabaseWrapper, id: UUID) -> list[UUID]:
    """Open the edges of a dead letter that never ran to those that can still complete; returns these."""
    jobs = Job.objects.using(connection.alias)
    if not jobs.filter(pk=id, state=State.FAILED, starts=0).exists():
        return []
    failed = Edge.objects.using(connection.alias).filter(waiting_id=id).exclude(state__in=("", State.COMPLETED))
    again = []
    for edge in failed.order_by("position"):
        row = jobs.select_for_update().filter(pk=edge.awaited_id).first()
        if row is not None and row.state in LIVE | {State.FAILED}:
            edge.state, edge.result, edge.error = "", None, ""
            jobs.filter(pk=row.pk).update(awaited=True)
            again.append(row.pk)
        elif row is not None and row.state == State.COMPLETED:
            edge.state, edge.result, edge.error = row.state, row.result, ""
        else:
            edge.excused = True
        edge.save()
    return again
