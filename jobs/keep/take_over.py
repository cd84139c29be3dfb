"""Duty: take the jobs of the database over, where another broker is the present one now (DESIGN: Recovery).

From the first look on the database's own workers take nothing from the queue (`QueueState.elsewhere`), also those whose
settings do not name the present broker yet. What they hold counts here, with its key and in the global concurrency,
until it ends there, goes back, or its worker is gone; so do the grants of their rate limit. What they put back or
accept is taken to the present broker.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from .. import clock
from ..broker import get_broker
from ..broker.contract import Broker
from ..broker.database.pending import note_elsewhere
from ..broker.database.values import tags_of
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..defined import queues
from ..history import lookup
from ..models import Grant, Job, Process
from ..states import ENDED, State
from .each import each_queue
from .recover import lose, unknown_rows

#: Seconds between two runs, and after one that found rows.
INTERVAL, SOON = 1.0, 0.05
#: Seconds between two looks whether processes of another broker live.
LOOK = 5.0
#: How old rows are that such a process may have inserted just now; older ones are the sweep's.
NEW = timedelta(minutes=2)
#: Rows of a queue that are looked at in one run.
CHUNK = 1_000

#: The queues of which nothing is held elsewhere, as far as this process knows.
_free: set[str] = set()
#: When this process looked whether others live, by its own clock, and what it saw.
_others = (float("-inf"), False)
#: Of each queue: behind which new row to look next.
_after: dict[str, UUID] = {}


def run() -> int:
    """Look once, and before any worker starts; returns how many rows are to be pushed."""
    broker = get_broker()
    if broker.rows_are_the_queue:
        return 0
    names = sorted({*queues(), *lookup.queues_with_jobs()})
    return each_queue("take_over", names, lambda name: take_over(broker, name))


def take_over(broker: Broker, queue: str) -> int:
    """Look at what another broker has of a queue; returns how many rows became pending."""
    note_elsewhere(connections[jobs_settings().database], queue, broker.store)
    rows = lookup.all_jobs().filter(queue=queue)
    active = rows.filter(state=State.ACTIVE)
    moved = 0
    if queue not in _free or active.exists():
        moved += _give_up(active)
        held = [_as_new(row) for row in active]
        left = broker.adopt(queue, held, _grants(queue))
        moved += _take(broker, queue, rows, left)
        (_free.discard if held or left else _free.add)(queue)
    if queue not in _free or _others_live(broker):
        moved += _take_new(broker, queue, rows)
    return moved


def _grants(queue: str) -> list[datetime]:
    """Until when each start had to begin that the database has granted; they are few, or forgotten by its keepers."""
    found = Grant.objects.using(jobs_settings().database).filter(queue=queue, subject="").order_by("pk")
    return [start_by for start_by, number in found.values_list("start_by", "number") for _ in range(number)]


def _give_up(active: QuerySet[Job]) -> int:
    """What processes hold that are gone is pending again."""
    alive = Process.objects.using(active.db).filter(lease_until__gt=get_broker().now()).values("pk")
    return active.exclude(worker_id__in=alive).update(state=State.PENDING, worker_id=None)


def _take(broker: Broker, queue: str, rows: QuerySet[Job], left: frozenset[UUID]) -> int:
    """What nobody holds elsewhere any more has ended, or is taken to this broker."""
    if not left:
        return 0
    runs = dict(rows.filter(pk__in=left).exclude(state__in=ENDED).values_list("pk", "run"))
    known = dict(rows.filter(pk__in=left).values_list("pk", "run"))
    if over := [(id, known.get(id, 2**15 - 1)) for id in left - runs.keys()]:
        broker.mend(queue, over=over)
    return rows.filter(pk__in=runs, state=State.QUEUED).update(state=State.PENDING)


def _others_live(broker: Broker) -> bool:
    """Whether a process lives that this broker does not know: one of the database's."""
    global _others
    if clock.monotonic() - _others[0] >= LOOK:
        own = [seen.record.id for seen in broker.processes() or ()]
        processes = Process.objects.using(jobs_settings().database).filter(lease_until__gt=broker.now())
        _others = clock.monotonic(), processes.exclude(pk__in=own).exists()
    return _others[1]


def _take_new(broker: Broker, queue: str, rows: QuerySet[Job]) -> int:
    """Rows that a process of the database has just accepted, or put back: pending, if the broker does not know them."""
    since = broker.now() - NEW
    new = rows.filter(state=State.QUEUED, pk__gt=_after.pop(queue, _first_id(int(since.timestamp() * 1_000))))
    ids = list(new.order_by("pk").values_list("pk", flat=True)[:CHUNK])
    if len(ids) == CHUNK:
        _after[queue] = ids[-1]
    if not ids:
        return 0
    return lose(queue, unknown_rows(broker, queue, rows.filter(pk__in=ids, state=State.QUEUED)))


def _first_id(milliseconds: int) -> UUID:
    """The lowest id that was made then: ids begin with their moment."""
    return UUID(int=milliseconds << 80)


def _as_new(row: Job) -> NewJob:
    return NewJob(
        id=row.pk,
        queue=row.queue,
        task=row.task,
        message=row.message,
        priority=row.stored_priority,
        run=row.run,
        key=row.key,
        ready_at=row.ready_at,
        expires_at=row.expires_at,
        event=row.event,
        event_id=row.event_id,
        about=(row.about_type, row.about_id) if row.about_type else None,
        parent_id=row.parent_id,
        scope=row.scope,
        group=row.group,
        tags=tags_of(row.tags),
        attempts=row.attempts,
        starts=row.starts,
        lost=row.lost,
        lane=row.lane,
    )
