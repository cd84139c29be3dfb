"""What the markers of atomic tasks say against the facts, and when they go (G3).

A job whose marker is there has completed, whatever became of it at its broker afterwards: it was lost before it could
be settled, and then lost too often, cancelled, or expired.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models.functions import Now

from .. import reasons
from ..broker.contract import Broker
from ..broker.facts import Dropped, Fact, Start
from ..broker.records import Completed
from ..broker.tally import Tally
from ..conf import jobs_settings
from ..models import Job, Marker
from ..states import ENDED, State

logger = logging.getLogger("jobs.keeper")

#: How long a marker stays when the history has the end: a store that lost its last seconds may start the job again.
REMEMBER = timedelta(seconds=60)
#: After which time a marker whose job nobody knows any more goes: its end was never told, since its store was wiped.
FORGOTTEN = timedelta(days=7)
#: Markers of one look.
MOST = 1_000


def of_ended(alias: str, ids: Iterable[str]) -> dict[UUID, Marker]:
    """The markers, by job, that wait for the end of these jobs; ids are hexadecimal digits."""
    waiting = Marker.objects.using(alias).filter(ended_at=None)
    if not waiting.exists():
        return {}
    return waiting.in_bulk({UUID(id) for id in ids})


def as_marked(facts: Sequence[Fact], markers: dict[UUID, Marker]) -> Sequence[Fact]:
    """The facts, with another end where a marker says that the job had completed already."""
    if not markers:
        return facts
    return [_completed(fact, markers[fact.job]) if _is_wrong(fact, markers) else fact for fact in facts]


def corrections(dropped: Dropped, markers: Mapping[UUID, Marker]) -> dict[datetime, Tally]:
    """The same of what is counted of jobs that retention drops at once."""
    tally = Tally()
    for id, task in zip(dropped.ids, dropped.tasks, strict=True):
        if UUID(id) in markers and dropped.state is not State.COMPLETED:
            tally.add(task, dropped.state, -1)
            tally.add(task, State.COMPLETED)
    return {dropped.hour: tally}


def note_ended(alias: str, markers: Iterable[UUID]) -> None:
    """The history has the end of these jobs: their markers go a while later."""
    if ids := list(markers):
        Marker.objects.using(alias).filter(pk__in=ids).update(ended_at=Now(), result=None)


def forget(broker: Broker) -> int:
    """Remove the markers that nobody needs any more; returns how many."""
    rows = Marker.objects.using(jobs_settings().database)
    if not rows.exists():
        return 0
    gone = rows.filter(ended_at__lt=Now() - REMEMBER)
    removed: int = rows.filter(pk__in=list(gone.values_list("pk", flat=True)[:MOST])).delete()[0]
    if broker.rows_are_the_queue:
        return removed
    old = rows.filter(ended_at=None, claimed_at__lt=Now() - FORGOTTEN).order_by("claimed_at")
    lost = [marker.pk for marker in old[:MOST] if not _lives(marker, broker)]
    if lost:
        logger.warning("forgot_markers jobs=%d: their tasks had committed, and no broker knows the jobs", len(lost))
    return removed + int(rows.filter(pk__in=lost).delete()[0])


def _is_wrong(fact: Fact, markers: dict[UUID, Marker]) -> bool:
    return fact.state in ENDED and fact.state is not State.COMPLETED and fact.job in markers


def _completed(fact: Fact, marker: Marker) -> Fact:
    start = Start(Completed, 0, fact.at, None, fact.at, reason=reasons.COMMITTED_BEFORE, result=marker.result)
    return replace(fact, state=State.COMPLETED, start=start)


def _lives(marker: Marker, broker: Broker) -> bool:
    row = Job.objects.using(jobs_settings().database).filter(pk=marker.pk).exclude(state__in=ENDED)
    return row.exists() or broker.find(marker.queue, marker.pk) is not None
