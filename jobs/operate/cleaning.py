"""Taking jobs away in bulk: what waits is cancelled (drain), what has ended is removed (clean, and the keeper's prune).

In chunks of one short transaction each, so that no worker waits for long; what is done stays done if it is broken off.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import ngettext

from .. import clock, reasons
from ..broker import get_broker
from ..faults import point
from ..history import lookup
from ..models import Attempt, Job, QueueState
from ..states import ENDED, Shown, State
from .audit import note
from .operations import check_queue

#: Jobs of one transaction: on SQLite it keeps everybody else from writing, so it must be over in milliseconds.
CHUNK = 1_000
ALL_QUEUED = "all-queued"
#: What of a queue can be drained: shown states of jobs that have not started, or all of them.
DRAINED = (Shown.WAITING.value, Shown.SCHEDULED.value, Shown.RETRYING.value, ALL_QUEUED)
#: What can be removed: the ended states.
CLEANED = tuple(sorted(state.value for state in ENDED))


def drain(
    queue: str,
    state: str = Shown.WAITING.value,
    *,
    task: str = "",
    older_than: timedelta | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    by: AbstractBaseUser | None = None,
) -> int:
    """Cancel the queue's jobs that wait in `state`, one of `DRAINED`; returns how many. What runs, goes on.

    Only jobs that are there now, and were created at least `older_than` ago; oldest first, at most `limit`. `dry_run`
    counts and changes nothing. Raises `UnknownQueue`.
    """
    check_queue(queue)
    now = get_broker().now()
    condition = _waits_as(state, now) & (Q(task=task) if task else Q())
    drained = 0
    # one stored state at a time: each is walked in the order of its index
    for stored in (State.PENDING, State.QUEUED):
        rows = lookup.all_jobs().filter(queue=queue, state=stored)
        rows = rows if older_than is None else created_before(rows, now - older_than)
        left = None if limit is None else limit - drained
        drained += rows.filter(condition)[:left].count() if dry_run else _cancel(queue, rows, condition, left)
    if drained and not dry_run:
        text = ngettext("Drained: %(count)d job cancelled.", "Drained: %(count)d jobs cancelled.", drained)
        note(by, QueueState(queue=queue), text % {"count": drained})
    return drained


def clean(
    queue: str,
    state: str,
    older_than: timedelta,
    *,
    limit: int | None = None,
    dry_run: bool = False,
    by: AbstractBaseUser | None = None,
) -> int:
    """Remove the queue's jobs that ended in `state`, one of `CLEANED`, at least `older_than` ago; returns how many.

    With their attempts, oldest first, at most `limit`. The counters stay. Raises `UnknownQueue`.
    """
    check_queue(queue)
    if state not in ENDED:
        raise ValueError(f"state {state!r}: only ended jobs can be removed: {', '.join(CLEANED)}")
    rows = ended_before(lookup.all_jobs().filter(queue=queue, state=state), get_broker().now() - older_than)
    if dry_run:
        return rows[:limit].count()
    removed = remove(rows, limit)
    if removed:
        text = ngettext(
            "Cleaned: %(count)d job removed (%(state)s).", "Cleaned: %(count)d jobs removed (%(state)s).", removed
        )
        note(by, QueueState(queue=queue), text % {"count": removed, "state": state})
    return removed


def created_before(jobs: QuerySet[Job], moment: datetime) -> QuerySet[Job]:
    """Those of the jobs that were created before the moment."""
    # the id, of the caller's clock, keeps the look short; created_at, of the database's, lets no younger job in
    return jobs.filter(id__lt=lookup.first_id_at(moment), created_at__lt=moment)


def ended_before(jobs: QuerySet[Job], moment: datetime) -> QuerySet[Job]:
    """Those of the ended jobs that ended before the moment."""
    # what was accepted later cannot have ended before: the id keeps the look short
    return jobs.filter(id__lt=lookup.first_id_at(moment), ended_at__lt=moment)


def remove(jobs: QuerySet[Job], limit: int | None = None) -> int:
    """Delete ended jobs with their attempts, oldest first, at most `limit`; returns how many."""
    removed = 0
    while limit is None or removed < limit:
        chunk = remove_chunk(jobs, CHUNK if limit is None else min(CHUNK, limit - removed))
        removed += len(chunk.ids)
        if not chunk.full:
            break
        jobs = chunk.rest(jobs)
        chunk.let_others_work()
    return removed


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction removed, oldest first, and the seconds for which it waited for the lock and then held it."""

    ids: list[UUID]
    full: bool
    waited: float
    held: float

    def rest(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """The jobs without these: what is gone is not walked over again."""
        return jobs.filter(id__gt=self.ids[-1])

    def let_others_work(self) -> None:
        """Leave the lock to whoever waits for it, unless others have had it just now for as long."""
        time.sleep(max(0.0, self.held - self.waited))


def remove_chunk(jobs: QuerySet[Job], most: int | None = None) -> Chunk:
    """Remove the oldest of these ended jobs, at most CHUNK of them, in a transaction of its own."""
    wanted = CHUNK if most is None else most
    began = clock.monotonic()
    with transaction.atomic(using=jobs.db):
        entered = clock.monotonic()
        # a retry may hold a dead letter: skip it, it is about to live again
        chosen = jobs.select_for_update(skip_locked=True).order_by("id").values_list("id", flat=True)
        ids = list(chosen[:wanted])
        if ids:
            Attempt.objects.using(jobs.db).filter(job_id__in=ids).delete()
            # the attempts are gone already, so Django need not collect what cascades
            jobs.filter(id__in=ids)._raw_delete(jobs.db)
            point("prune.before_commit")
    return Chunk(ids, len(ids) == wanted, entered - began, clock.monotonic() - entered)


def _cancel(queue: str, rows: QuerySet[Job], condition: Q, limit: int | None) -> int:
    # up to the newest: a queue that is filled faster than it is drained must not keep this going
    newest = rows.order_by("-pk").values_list("pk", flat=True).first()
    if newest is None:
        return 0
    waiting = rows.filter(condition, pk__lte=newest).order_by("pk").values_list("pk", flat=True)
    cancelled, chosen = 0, waiting
    while limit is None or cancelled < limit:
        ids = list(chosen[: CHUNK if limit is None else min(CHUNK, limit - cancelled)])
        if not ids:
            break
        cancelled += len(get_broker().cancel_waiting(queue, ids, reasons.DRAINED))
        chosen = waiting.filter(pk__gt=ids[-1])
    return cancelled


def _waits_as(state: str, now: datetime) -> Q:
    conditions = {
        Shown.WAITING.value: Q(attempts=0, ready_at__lte=now),
        Shown.SCHEDULED.value: Q(attempts=0, ready_at__gt=now),
        Shown.RETRYING.value: Q(attempts__gt=0),
        ALL_QUEUED: Q(),
    }
    if state not in conditions:
        raise ValueError(f"state {state!r}: what can be drained is: {', '.join(DRAINED)}")
    return conditions[state]
