"""Cancel a batch: what waits never starts, what runs is asked to stop; then the batch ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from .. import clock, reasons
from ..broker import get_broker
from ..broker.database import edges
from ..broker.database.statements import load_statements
from ..broker.database.values import id_of
from ..conf import jobs_settings
from ..enqueue.unblock import end_batch, unblock
from ..errors import Refused, UnknownJob
from ..history import batches, live, lookup
from ..models import Batch, Job
from ..states import LIVE, State
from .audit import note
from .cancel import cancel_now, cancel_waiting
from .commit import with_broker

#: Jobs of one transaction.
CHUNK = 1_000
#: For how long a batch is known after its end.
KEPT = timedelta(days=7)


def cancel_batch(id: UUID, *, longest: float = math.inf, by: AbstractBaseUser | None = None) -> bool:
    """Cancel a batch; of one that has ended nothing changes. Raises `UnknownBatch`.

    After `longest` seconds it begins no further thousand of jobs; whether some are left for another call. Inside a
    transaction a broker outside the database is told after the commit.
    """
    row = batches.row_of(id)
    rows = Batch.objects.using(jobs_settings().database).filter(pk=id, ended_at=None)
    if not rows.update(cancelled=True):
        return False
    note(by, row, _("Cancelled."))
    return bool(with_broker(partial(_cancel_jobs, id, clock.monotonic() + longest), False))


def _cancel_jobs(id: UUID, until: float) -> bool:
    live.hear()
    # those that wait for others first: else the end of these would end them in another way
    for chosen in (_live_jobs(id).filter(state=State.BLOCKED), _live_jobs(id)):
        for piece in _pieces(chosen):
            if clock.monotonic() >= until:
                return True
            _cancel_piece(piece)
    live.hear()
    unblock()
    end_batch(id)
    return False


def _live_jobs(id: UUID) -> QuerySet[Job]:
    mine = batches.members().filter(batch_id=id, role="", lent=False, state__in=("", State.FAILED))
    return lookup.all_jobs().filter(pk__in=mine.values("job_id"), state__in=LIVE)


def _pieces(jobs: QuerySet[Job]) -> Iterator[list[tuple[UUID, str]]]:
    last, ordered = UUID(int=0), jobs.order_by("pk")
    while found := list(ordered.filter(pk__gt=last).values_list("pk", "queue")[:CHUNK]):
        yield found
        last = found[-1][0]


def _cancel_piece(found: list[tuple[UUID, str]]) -> None:
    gone = cancel_waiting(found, reasons.BY_BATCH)
    for job_id, queue in found:
        if job_id not in gone:
            with suppress(UnknownJob, Refused):
                cancel_now(queue, job_id, reasons.BY_BATCH)


def cancel_hopeless() -> int:
    """Cancel what follows the success of batches that cannot succeed any more; returns how many, 100 at most.

    Of a batch that ended with dead letters a retry may still make a success, until one of them was discarded or its row
    is gone.
    """
    connection = connections[jobs_settings().database]
    with connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["read_hopeless"])
        found = [id_of(job) for (job,) in cursor.fetchall()]
    with transaction.atomic(using=connection.alias):
        return sum(edges.cancel_blocked(connection, job, reasons.BATCH_FAILED) for job in found)


def forget_batches(go_on: Callable[[], bool]) -> int:
    """Remove batches that ended more than a week ago, in short transactions, as long as `go_on` says so.

    Returns how many rows went.
    """
    removed, alias = 0, jobs_settings().database
    old = Batch.objects.using(alias).filter(ended_at__lt=get_broker().now() - KEPT).order_by("ended_at")
    while go_on() and (id := old.values_list("pk", flat=True).first()) is not None:
        removed += _forget_some(id)
    return removed


def _forget_some(id: UUID) -> int:
    """Remove a part of a batch, its own row last."""
    connection = connections[jobs_settings().database]
    with transaction.atomic(using=connection.alias):
        for job in batches.followers(id).values():
            edges.cancel_blocked(connection, job, reasons.BATCH_GONE)
        rows = batches.members().filter(batch_id=id)
        chosen = list(rows.exclude(state="follows").values_list("pk", flat=True)[:CHUNK])
        if chosen:
            return rows.filter(pk__in=chosen).delete()[0]
        return rows.delete()[0] + Batch.objects.using(connection.alias).filter(pk=id).delete()[0]
