"""Clean: what has ended is removed; the keeper's prune takes it away in the same way.

In chunks of one short transaction each, so that no worker waits for long; what is done stays done if it is broken off.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import ngettext

from .. import clock
from ..broker import get_broker
from ..errors import InvalidOption
from ..faults import point
from ..history import inside, lookup
from ..history.plans import by_index
from ..history.targets import HasName, name_of
from ..models import Attempt, Edge, Job, QueueState
from ..states import ENDED
from .audit import note

#: Jobs of one transaction: on SQLite it keeps everybody else from writing, so it must be over in milliseconds.
CHUNK = 1_000
#: What `limit` may be at most.
MOST = 1_000_000_000
#: What can be removed: the ended states.
CLEANED = tuple(sorted(state.value for state in ENDED))


def clean(
    queue: HasName | str,
    state: str,
    older_than: timedelta,
    *,
    limit: int | None = None,
    dry_run: bool = False,
    by: AbstractBaseUser | None = None,
) -> int:
    """Remove the queue's jobs that ended in `state` at least `older_than` ago; returns how many.

    `state` is `completed`, `failed`, `cancelled` or `expired`. With their attempts, at most `limit`, those that ended
    first; the counters stay. `dry_run` counts and changes nothing. Raises `UnknownQueue`, and `InvalidOption` for a
    wrong value.
    """
    name = name_of(queue)
    check_age(older_than)
    check_limit(limit)
    if state not in CLEANED:
        raise InvalidOption(f"state {state!r}: only ended jobs can be removed: {', '.join(CLEANED)}")
    rows = ended_before(lookup.all_jobs().filter(queue=name, state=state), get_broker().now() - older_than)
    if dry_run:
        return rows[:limit].count()
    removed = remove(rows, limit)
    if removed:
        text = ngettext(
            "Cleaned: %(count)d job removed (%(state)s).", "Cleaned: %(count)d jobs removed (%(state)s).", removed
        )
        note(by, QueueState(queue=name), text % {"count": removed, "state": state})
    return removed


def ended_before(jobs: QuerySet[Job], moment: datetime) -> QuerySet[Job]:
    """Those of the ended jobs that ended before the moment."""
    return jobs.filter(ended_at__lt=moment)


def remove(jobs: QuerySet[Job], limit: int | None = None) -> int:
    """Delete ended jobs with their attempts, those that ended first, at most `limit`; returns how many."""
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
    """What one transaction removed, and the seconds for which it waited for the lock and then held it.

    `until`: when the last of them ended, None if it removed nothing.
    """

    ids: list[UUID]
    until: datetime | None
    full: bool
    waited: float
    held: float

    def rest(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """The jobs without these: what is gone is not walked over again."""
        return jobs if self.until is None else jobs.filter(ended_at__gte=self.until)

    def let_others_work(self) -> None:
        """Leave the lock to whoever waits for it, unless others have had it just now for as long."""
        time.sleep(max(0.0, self.held - self.waited))


def remove_chunk(jobs: QuerySet[Job], most: int | None = None) -> Chunk:
    """Remove those of these ended jobs that ended first, at most CHUNK of them, in a transaction of its own.

    `jobs` are chosen by when they ended: the order is that of an index.
    """
    wanted = CHUNK if most is None else most
    began = clock.monotonic()
    with by_index(jobs.db), transaction.atomic(using=jobs.db):
        entered = clock.monotonic()
        # a retry may hold a dead letter: skip it, it is about to live again
        # what others wait for, and have not been told of, stays until they are
        told = jobs.filter(awaited=False)
        chosen = told.select_for_update(skip_locked=True).order_by("ended_at", "id").values_list("id", "ended_at")
        found = list(chosen[:wanted])
        ids = [id for id, _ in found]
        if ids:
            Attempt.objects.using(jobs.db).filter(job_id__in=ids).delete()
            Edge.objects.using(jobs.db).filter(waiting_id__in=ids).delete()
            inside.forget(ids, jobs.db)
            # the attempts are gone already, so Django need not collect what cascades
            jobs.filter(id__in=ids)._raw_delete(jobs.db)
            point("prune.before_commit")
    until = found[-1][1] if found else None
    return Chunk(ids, until, len(ids) == wanted, entered - began, clock.monotonic() - entered)


def check_age(older_than: timedelta) -> None:
    """Raise `InvalidOption` unless it is how long ago something may have been."""
    if not isinstance(older_than, timedelta) or older_than < timedelta(0):
        raise InvalidOption(f"older_than={older_than!r}: expected a timedelta, not below 0")


def check_limit(limit: int | None) -> None:
    """Raise `InvalidOption` unless at most so many jobs can be chosen."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST):
        raise InvalidOption(f"limit={limit!r}: expected a whole number of at least 1, or None")
