"""Duty: cut the history to what each queue's retention keeps.

By boundary: the id of the newest job that is too many. Ids rise with time, so everything up to it goes, in chunks of
one short transaction each, the queues in turn, with pauses in which others work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from django.db.models import QuerySet

from .. import clock
from ..conf import jobs_settings
from ..defined import queues
from ..faults import point
from ..models import Job
from ..operate.cleaning import ended_before, remove_chunk
from ..policy import QueuePolicy, Retention
from ..states import ENDED, State

#: Seconds between two runs that found nothing, and after one that removed something.
INTERVAL, SOON = 10.0, 1.0
#: Seconds after which a run ends, whatever is left: the keeper's other duties wait for it.
LONGEST = 1.0


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
            if chunk.ids:
                point("prune.after_commit")
            removed += len(chunk.ids)
            if chunk.full:
                left.append(chunk.rest(jobs))
            if clock.monotonic() >= end:
                return removed
            chunk.let_others_work()
        todo = left
    return removed


def _too_many(policy: QueuePolicy, state: State) -> Iterator[QuerySet[Job]]:
    jobs = Job.objects.using(jobs_settings().database).filter(queue=policy.name, state=state)
    boundary = _boundary(jobs, _kept(policy.retention, state))
    if boundary is not None:
        yield jobs.filter(id__lte=boundary)
    if policy.retention.age is not None:
        yield ended_before(jobs, clock.now() - policy.retention.age)


def _kept(retention: Retention, state: State) -> int:
    return retention.failed if state == State.FAILED else retention.completed


def _boundary(jobs: QuerySet[Job], kept: int) -> UUID | None:
    return jobs.order_by("-id").values_list("id", flat=True)[kept : kept + 1].first()
