"""For which jobs a job waits, and which wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from ..models import Edge, Job
from ..states import LIVE
from . import lookup

#: How many of either are shown.
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Waits:
    """`after`: the jobs that a job waits for or has waited for, each with the state that it ended in, empty before.

    `before`: those that wait for it. At most 50 of either.
    """

    after: tuple[tuple[UUID, str], ...] = ()
    before: tuple[UUID, ...] = ()


def waits_of(job: Job) -> Waits:
    """What a job waits for, and what waits for it."""
    edges = Edge.objects.using(lookup.all_jobs().db)
    after = edges.filter(waiting_id=job.pk).order_by("position").values_list("awaited_id", "state")
    before = edges.filter(awaited_id=job.pk).order_by("pk").values_list("waiting_id", flat=True)
    return Waits(tuple(after[:SHOWN]), tuple(before[:SHOWN]))


def jobs_before(job: Job) -> tuple[int, UUID | None]:
    """How many jobs of its sequence are before a blocked one, and the first of them."""
    live = lookup.all_jobs().filter(queue=job.queue, sequence=job.sequence, sequence__gt="", state__in=sorted(LIVE))
    before = live.exclude(place=None) if job.place is None else live.filter(place__lt=job.place)
    return before.count(), before.order_by("place").values_list("pk", flat=True).first()


def open_waits(job: Job) -> tuple[int, UUID | None]:
    """For how many jobs a blocked one still waits, and the first of them."""
    left = Edge.objects.using(lookup.all_jobs().db).filter(waiting_id=job.pk, state="")
    return left.count(), left.order_by("position").values_list("awaited_id", flat=True).first()
