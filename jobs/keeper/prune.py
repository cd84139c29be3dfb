"""Duty: cut the history to what each queue's retention keeps.

By boundary: the id of the newest job that is too many. Ids rise with time, so everything up to it goes, in chunks of
one short transaction each, the queues in turn, with pauses in which others work.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from .. import clock
from ..conf import jobs_settings
from ..models import Attempt, Job
from ..policy import QueuePolicy, Retention
from ..queue import queues
from ..states import ENDED, State

#: Seconds between two runs that found nothing, and after one that removed something.
INTERVAL, SOON = 10.0, 1.0
#: Jobs removed in one transaction: on SQLite it keeps everybody else from writing, so it must be over in milliseconds.
CHUNK = 1_000
#: Seconds after which a run ends, whatever is left: the keeper's other duties wait for it.
LONGEST = 1.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction removed, oldest first, and the seconds for which it waited for the lock and then held it."""

    ids: list[UUID]
    waited: float
    held: float


def run() -> int:
    """Prune every queue once; returns how many jobs went."""
    return prune(queue.policy for queue in queues().values())


def prune(policies: Iterable[QueuePolicy]) -> int:
    """Remove the ended jobs that these queues do not keep, for a second at most; returns how many."""
    end = clock.monotonic() + LONGEST
    todo = [rows for policy in policies for state in sorted(ENDED) for rows in _too_many(policy, state)]
    removed = 0
    while todo:
        left = []
        for jobs in todo:
            chunk = remove_chunk(jobs)
            removed += len(chunk.ids)
            if len(chunk.ids) == CHUNK:
                # what is gone is not walked over again
                left.append(jobs.filter(id__gt=chunk.ids[-1]))
            if clock.monotonic() >= end:
                return removed
            # who waits for the lock gets it, unless others have had it just now for as long
            time.sleep(max(0.0, chunk.held - chunk.waited))
        todo = left
    return removed


def remove_chunk(jobs: QuerySet[Job]) -> Chunk:
    """Remove the oldest of these jobs with their attempts, in a transaction of its own."""
    began = clock.monotonic()
    with transaction.atomic(using=jobs.db):
        entered = clock.monotonic()
        # a retry may hold a dead letter: skip it, it is about to live again
        chosen = jobs.select_for_update(skip_locked=True).order_by("id").values_list("id", flat=True)
        ids = list(chosen[:CHUNK])
        if ids:
            Attempt.objects.using(jobs.db).filter(job_id__in=ids).delete()
            # the attempts are gone already, so Django need not collect what cascades
            jobs.filter(id__in=ids)._raw_delete(jobs.db)
    return Chunk(ids, entered - began, clock.monotonic() - entered)


def _too_many(policy: QueuePolicy, state: State) -> Iterator[QuerySet[Job]]:
    jobs = Job.objects.using(jobs_settings().database).filter(queue=policy.name, state=state)
    boundary = _boundary(jobs, _kept(policy.retention, state))
    if boundary is not None:
        yield jobs.filter(id__lte=boundary)
    if policy.retention.age is not None:
        oldest = clock.now() - policy.retention.age
        # what was accepted later cannot have ended before: the id keeps the look short
        yield jobs.filter(id__lt=_first_id_of(oldest), ended_at__lt=oldest)


def _kept(retention: Retention, state: State) -> int:
    return retention.failed if state == State.FAILED else retention.completed


def _boundary(jobs: QuerySet[Job], kept: int) -> UUID | None:
    return jobs.order_by("-id").values_list("id", flat=True)[kept : kept + 1].first()


def _first_id_of(moment: datetime) -> UUID:
    """The lowest UUIDv7 of a moment."""
    milliseconds = (moment - datetime.fromtimestamp(0, moment.tzinfo)) // timedelta(milliseconds=1)
    return UUID(int=max(0, milliseconds) << 80)
