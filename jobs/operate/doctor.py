"""Doctor: find rows and keys that are in no state, and mend them.

The keeper does most of it by itself, within minutes. Nothing here is needed while no foreign hand and no restored copy
of one store without the other has come in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Greatest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..broker import get_broker
from ..broker.records import BEHIND, LivingRow
from ..conf import jobs_settings
from ..defined import queues
from ..enqueue.outbox import push_pending
from ..enqueue.unblock import abandon
from ..history import live, lookup
from ..history.targets import HasName, name_of
from ..models import Edge, Job, Process
from ..states import ENDED, State

#: Rows of one step, and how old a row of the outbox, or one that a broker does not know, must be to be wrong.
CHUNK, AGE = 1_000, timedelta(minutes=1)

#: What can be found, each with its mend.
WORDS: dict[str, Promise] = {
    "pending": _("accepted jobs have waited over a minute to reach the broker; mend: they are given to it"),
    "unknown": _("jobs live by their rows, and the broker does not know them; mend: they are given to it again"),
    "no_worker": _("jobs are active, and no process holds them; mend: they go back, counted as lost"),
    "stray_lease": _("a process died and its jobs were not given back; mend: they go back, counted as lost"),
    "no_end": _("jobs have ended and no time says when, so no retention removes them; mend: the last known time"),
    "ended_twice": _("jobs live and a time says when they ended; mend: that time is taken out"),
    "unplaced": _("records in Redis stand in no order and would never start; mend: they stand in it again"),
    "unfollowed": _("jobs wait for jobs that are gone; mend: for them those count as cancelled"),
    "vanished": _("places in Redis have lost their records; mend: they are removed, and a row's job is pushed again"),
    "stray_hold": _("jobs that do not run take room of their group in Redis; mend: the group has it again"),
    "stray_key": _("keys in Redis are held by jobs that do not live; mend: they are free"),
    "stray_ask": _("cancellations in Redis were asked of jobs that do not run; mend: they are dropped"),
    "stray_end": _("Redis is to let jobs expire that do not live; mend: that is dropped"),
}


@dataclass(frozen=True, slots=True)
class Ailment:
    """Something that is in no state: `count` rows, records or keys of a queue, set right if `mended`."""

    code: str
    queue: str
    count: int
    mended: bool

    @property
    def text(self) -> str:
        """The sentence in the reader's language."""
        return str(WORDS[self.code])


def examine(queue: HasName | str = "", *, mend: bool = False) -> list[Ailment]:
    """What is in no state, of one queue or of all; with `mend` set right. Empty: nothing is wrong.

    Raises `UnknownQueue`, and `BrokerAway` where the broker cannot be asked.
    """
    broker = get_broker()
    names = [name_of(queue)] if queue else sorted({*queues(), *lookup.queues_with_jobs(), *broker.queues()})
    live.hear(names)
    found: list[Ailment] = []
    for name in names:
        for code, count in _of_queue(name, mend):
            if count:
                found.append(Ailment(code, name, count, mend))
    return found


def _of_queue(queue: str, mend: bool) -> Iterator[tuple[str, int]]:
    broker = get_broker()
    yield from broker.examine(queue, mend=mend).items()
    if broker.rows_are_the_queue:
        yield from _unheld(queue, mend)
    else:
        yield "unknown", _unknown(queue, mend)
    yield "pending", _pending(queue, mend)
    yield "unfollowed", _unfollowed(queue, mend)
    ended = _rows(queue).filter(state__in=ENDED, ended_at=None)
    known = Greatest(F("created_at"), Coalesce("started_at", "created_at"))
    yield "no_end", ended.update(ended_at=known) if mend else ended.count()
    alive = _rows(queue).exclude(state__in=ENDED).exclude(ended_at=None)
    yield "ended_twice", alive.update(ended_at=None) if mend else alive.count()


def _pending(queue: str, mend: bool) -> int:
    rows = _rows(queue).filter(state=State.PENDING, created_at__lt=get_broker().now() - AGE)
    # one that waits behind the holder of its key waits rightly
    rows = rows.exclude(rule=BEHIND)
    ids = list(rows.values_list("pk", flat=True))
    for piece in _pieces(ids) if mend else ():
        push_pending(piece)
    return len(ids)


def _unfollowed(queue: str, mend: bool) -> int:
    """Blocked jobs that wait for jobs without a row: each had one when it was named."""
    awaited = lookup.all_jobs().filter(pk=OuterRef("awaited_id"))
    edges = Edge.objects.using(jobs_settings().database).filter(state="", waiting_id__in=_blocked(queue).values("pk"))
    lost = edges.filter(~Exists(awaited))
    count = len(set(lost.values_list("waiting_id", flat=True)))
    for piece in _pieces(sorted(set(lost.values_list("awaited_id", flat=True)))) if mend else ():
        abandon(piece)
    return count


def _unheld(queue: str, mend: bool) -> Iterator[tuple[str, int]]:
    """Active rows without a process, and those of a process whose lease ended long ago."""
    processes = Process.objects.using(jobs_settings().database)
    active = _rows(queue).filter(state=State.ACTIVE)
    holders = {id for id in active.values_list("worker_id", flat=True).distinct() if id is not None}
    known = set(processes.filter(pk__in=holders).values_list("pk", flat=True))
    dead = set(processes.filter(pk__in=holders, lease_until__lt=get_broker().now() - AGE).values_list("pk", flat=True))
    nobody, orphans = active.filter(worker_id=None), active.filter(worker_id__in=holders - known)
    lone, stray = nobody.count() + orphans.count(), active.filter(worker_id__in=dead).count()
    if mend and lone + stray:
        # of a process that never was, the reaper takes them back
        nobody.update(worker_id=clock.new_id())
        get_broker().reap([queue])
    yield "no_worker", lone
    yield "stray_lease", stray


def _unknown(queue: str, mend: bool) -> int:
    broker, count = get_broker(), 0
    rows = _rows(queue).filter(state=State.QUEUED, created_at__lt=broker.now() - AGE).order_by("pk")
    last = UUID(int=0)
    while piece := list(rows.filter(pk__gt=last).values_list("pk", "run", "attempts", "starts", "lost")[:CHUNK]):
        last = piece[-1][0]
        lost = list(broker.mend(queue, [LivingRow(*row) for row in piece]))
        count += len(lost)
        if mend and lost:
            _rows(queue).filter(pk__in=lost, state=State.QUEUED).update(state=State.PENDING)
            push_pending(lost)
    return count


def _blocked(queue: str) -> QuerySet[Job]:
    return _rows(queue).filter(state=State.BLOCKED)


def _rows(queue: str) -> QuerySet[Job]:
    return lookup.all_jobs().filter(queue=queue)


def _pieces(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
