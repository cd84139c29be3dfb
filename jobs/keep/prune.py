"""Duty: cut the history to what each queue's retention keeps (G9).

By boundary: the end of the last job that is too many. Everything that ended until then goes, in chunks of one short
transaction each, the queues in turn, with pauses in which others work. A boundary stays right while others prune too,
and whatever ends meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.db.models import Q, QuerySet

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..defined import queues
from ..faults import point
from ..history import lookup
from ..history.old_hours import fold_old_hours
from ..models import Job, Worker
from ..operate.clean import ended_before, remove_chunk
from ..policy import QueuePolicy, Retention
from ..states import ENDED, State

#: Seconds between two runs that found nothing, and after one that removed something.
INTERVAL, SOON = 10.0, 1.0
#: Seconds after which a run ends, whatever is left: the keeper's other duties wait for it.
LONGEST = 1.0


def run() -> int:
    """Prune every queue once, and the counters; returns how many rows went."""
    policies = [queue.policy for queue in queues().values()]
    return prune([*policies, *_undefined()]) + fold_old_hours()


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


def _undefined() -> list[QueuePolicy]:
    """The default policy for each queue that no code here defines, and that nobody works.

    Where a process works it, other code defines it (a rolling deploy), and knows what it keeps.
    """
    names = set(lookup.queues_with_jobs()) - queues().keys()
    if not names:
        return []
    alive = Worker.objects.using(jobs_settings().database).filter(lease_until__gt=get_broker().now())
    return [QueuePolicy(name) for name in sorted(names - set(alive.values_list("queue", flat=True)))]


def _too_many(policy: QueuePolicy, state: State) -> Iterator[QuerySet[Job]]:
    jobs = Job.objects.using(jobs_settings().database).filter(queue=policy.name, state=state)
    kept, age = _kept(policy.retention, state)
    # without the condition, PostgreSQL would count a row without an end among the last
    ended = jobs.filter(ended_at__isnull=False).order_by("-ended_at", "-id").values_list("ended_at", "id")
    boundary = ended[kept : kept + 1].first()
    if boundary is not None:
        ended_at, id = boundary
        # in words that begin with the index's column alone
        yield jobs.filter(Q(ended_at__lt=ended_at) | Q(id__lte=id), ended_at__lte=ended_at)
    if age is not None:
        yield ended_before(jobs, get_broker().now() - age)


def _kept(retention: Retention, state: State) -> tuple[int, timedelta | None]:
    if state == State.FAILED:
        return retention.failed, retention.failed_age
    return retention.completed, retention.age
