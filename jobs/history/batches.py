"""Batches as people and code read them: the rows, the counts, the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db import connections
from django.db.models import Q, QuerySet

from ..broker.database.statements import load_statements
from ..conf import jobs_settings
from ..errors import UnknownBatch
from ..models import Batch, Member
from ..states import LIVE, State
from . import live
from .batch_counts import BatchCounts
from .lookup import all_jobs

#: Rows of one look.
CHUNK = 1_000


def all_batches() -> QuerySet[Batch]:
    """Every batch that is known, the latest first."""
    return Batch.objects.using(jobs_settings().database).order_by("-pk")


def row_of(id: UUID) -> Batch:
    """The batch's row as it is now; raises `UnknownBatch`."""
    row = all_batches().filter(pk=id).first()
    if row is None:
        raise UnknownBatch(f"batch {id} is not known: it was rolled back, or it went some days after its end")
    return row


def batch_id_of(job_id: UUID) -> UUID | None:
    """The batch that a job was added to, or whose end it follows."""
    found = members().filter(job_id=job_id).order_by("lent", "pk").values_list("batch_id", flat=True)
    return found.first()


def is_job_of(job_id: UUID, batch_id: UUID) -> bool:
    """Whether the job was added to the batch."""
    return members().filter(job_id=job_id, batch_id=batch_id, role="", lent=False).exists()


def members() -> QuerySet[Member]:
    """What is known of the jobs of all batches."""
    return Member.objects.using(jobs_settings().database)


def job_ids(batch_id: UUID) -> Iterator[UUID]:
    """The jobs of a batch, in the order of their ids."""
    last, rows = UUID(int=0), members().filter(batch_id=batch_id, role="").order_by("job_id")
    while ids := list(rows.filter(job_id__gt=last).values_list("job_id", flat=True)[:CHUNK]):
        yield from ids
        last = ids[-1]


def jobs_of(batch_id: UUID, state: str, after: UUID, most: int) -> list[tuple[UUID, str]]:
    """Jobs of a batch behind an id, by their ids, with how each ended (empty: it has not), at most so many.

    `state` is one of those of `BatchCounts`; empty: all. What waits and what runs is told apart by the rows, or by what
    the broker says.
    """
    rows = members().filter(batch_id=batch_id, role="", job_id__gt=after).order_by("job_id")
    if not state:
        return list(rows.values_list("job_id", "state")[:most])
    # of those the jobs' rows say more: they live, also again, or their end is not noted with the batch yet
    open_rows = all_jobs().filter(pk__in=rows.filter(state__in=("", State.FAILED)).values("job_id"))
    if state in ("waiting", "active"):
        alive, running = open_rows.filter(state__in=LIVE), live.active_ids()
        runs = Q(state=State.ACTIVE) if running is None else Q(pk__in=running)
        alive = alive.filter(runs) if state == "active" else alive.exclude(runs)
        return [(id, "") for id in alive.order_by("pk").values_list("pk", flat=True)[:most]]
    noted = rows.filter(state=state)
    if state == State.FAILED:
        noted = noted.exclude(job_id__in=open_rows.filter(state__in=(*LIVE, State.COMPLETED)).values("pk"))
    found = {*noted.values_list("job_id", flat=True)[:most]}
    found |= {*open_rows.filter(state=state).order_by("pk").values_list("pk", flat=True)[:most]}
    return [(id, state) for id in sorted(found)[:most]]


def followers(batch_id: UUID) -> dict[str, UUID]:
    """The jobs that follow the batch's end, by which: `complete`, `success`, `failure`."""
    return dict(members().filter(batch_id=batch_id, state="follows").order_by("pk").values_list("role", "job_id"))


def counts_of(batch_id: UUID, *, hears: bool = True) -> BatchCounts:
    """The jobs of a batch by state, at this moment; without `hears` as far as the history has heard."""
    if hears:
        live.hear()
    connection = connections[jobs_settings().database]
    with connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["count_members"], {"id": batch_id.hex})
        found = {str(state): int(number) for state, number in cursor.fetchall()}
    active = _active(batch_id, found.get(State.ACTIVE, 0), found.get(State.QUEUED, 0))
    ended = {state: found.get(state, 0) for state in ("completed", "failed", "cancelled", "expired")}
    total = sum(found.values())
    return BatchCounts(total, total - active - sum(ended.values()), active, **ended)


def _active(batch_id: UUID, by_rows: int, queued: int) -> int:
    """How many run: where the rows do not say it, the broker does."""
    running = live.active_ids()
    if running is None:
        return by_rows
    mine = members().filter(batch_id=batch_id, role="", state__in=("", State.FAILED))
    return min(by_rows + queued, mine.filter(job_id__in=running).count())
