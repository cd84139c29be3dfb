"""Duty: cut the history to what each queue's retention keeps.

By boundary: the id of the newest job that is too many. Ids rise with time, so everything up to it goes, in chunks of
one short transaction each.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from .. import clock
from ..conf import jobs_settings
from ..faults import point
from ..models import Attempt, Job
from ..policy import QueuePolicy, Retention
from ..queue import queues
from ..states import ENDED, State

#: Seconds between two runs.
INTERVAL = 10.0
CHUNK = 1_000
#: Chunks of one state of one queue in one run; the next run goes on.
MAX_CHUNKS = 100


def run() -> int:
    """Prune every queue once; returns how many jobs went."""
    return prune(queue.policy for queue in queues().values())


def prune(policies: Iterable[QueuePolicy]) -> int:
    """Remove the ended jobs that these queues do not keep; returns how many."""
    return sum(_prune_state(policy, state) for policy in policies for state in sorted(ENDED))


def _prune_state(policy: QueuePolicy, state: State) -> int:
    jobs = Job.objects.using(jobs_settings().database).filter(queue=policy.name, state=state)
    removed = 0
    boundary = _boundary(jobs, _kept(policy.retention, state))
    if boundary is not None:
        removed += _remove(jobs.filter(id__lte=boundary))
    if policy.retention.age is not None:
        oldest = clock.now() - policy.retention.age
        # what was accepted later cannot have ended before: the id keeps the look short
        removed += _remove(jobs.filter(id__lt=_first_id_of(oldest), ended_at__lt=oldest))
    return removed


def _kept(retention: Retention, state: State) -> int:
    return retention.failed if state == State.FAILED else retention.completed


def _boundary(jobs: QuerySet[Job], kept: int) -> UUID | None:
    return jobs.order_by("-id").values_list("id", flat=True)[kept : kept + 1].first()


def _remove(jobs: QuerySet[Job]) -> int:
    removed = 0
    for _ in range(MAX_CHUNKS):
        with transaction.atomic(using=jobs.db):
            # a retry may hold a dead letter: skip it, it is about to live again
            chosen = jobs.select_for_update(skip_locked=True).order_by("id").values_list("id", flat=True)
            ids = list(chosen[:CHUNK])
            if not ids:
                break
            Attempt.objects.using(jobs.db).filter(job_id__in=ids).delete()
            # the attempts are gone already, so Django need not collect what cascades
            removed += jobs.filter(id__in=ids)._raw_delete(jobs.db)
            point("prune.before_commit")
        point("prune.after_commit")
        if len(ids) < CHUNK:
            break
    return removed


def _first_id_of(moment: datetime) -> UUID:
    """The lowest UUIDv7 of a moment."""
    milliseconds = (moment - datetime.fromtimestamp(0, moment.tzinfo)) // timedelta(milliseconds=1)
    return UUID(int=max(0, milliseconds) << 80)
