"""Duty: cut the history to what each queue's retention keeps.

By boundary: the id of the newest job that is too many. Ids rise with time, so everything up to it goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet

from .. import clock
from ..cleaning import ended_before, remove
from ..conf import jobs_settings
from ..models import Job
from ..policy import QueuePolicy, Retention
from ..queue import queues
from ..states import ENDED, State

#: Seconds between two runs.
INTERVAL = 10.0
#: Jobs of one state of one queue that go in one run; the next run goes on.
MOST = 100_000


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
        removed += remove(jobs.filter(id__lte=boundary), MOST)
    if policy.retention.age is not None:
        removed += remove(ended_before(jobs, clock.now() - policy.retention.age), MOST)
    return removed


def _kept(retention: Retention, state: State) -> int:
    return retention.failed if state == State.FAILED else retention.completed


def _boundary(jobs: QuerySet[Job], kept: int) -> UUID | None:
    return jobs.order_by("-id").values_list("id", flat=True)[kept : kept + 1].first()
