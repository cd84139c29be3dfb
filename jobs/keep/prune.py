"""Duty: cut the history to what each queue's retention keeps (G9).

By boundary: the end of the last job that is too many. Everything that ended until then goes, in chunks of one short
transaction each, the queues in turn, with pauses in which others work. A boundary stays right while others prune too,
and whatever ends meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..defined import queues
from ..faults import point
from ..history import inside, lookup, markers
from ..history.old_hours import fold_old_hours
from ..history.plans import by_index
from ..models import Job, Process, Throttle
from ..operate.batches import cancel_hopeless, forget_batches
from ..operate.clean import CHUNK, ended_before, remove_chunk
from ..operate.deploys import forget_marks
from ..policy import QueuePolicy, Retention
from ..states import ENDED, State

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs that found nothing, and after one that removed something.
INTERVAL, SOON = 10.0, 1.0
#: Seconds after which a run ends, whatever is left: the keeper's other duties wait for it.
LONGEST = 1.0
#: What ended later than so long from now ended while the clock was wrong.
AHEAD = timedelta(minutes=1)


def run() -> int:
    """Prune every queue once, the counters and the markers; returns how many rows went, or ended for want of others."""
    policies = [queue.policy for queue in queues().values()]
    end = clock.monotonic() + 2 * LONGEST
    removed = prune([*policies, *_undefined()]) + forget_batches(lambda: clock.monotonic() < end)
    removed += cancel_hopeless() + forget_marks(get_broker().now())
    return removed + fold_old_hours() + markers.forget(get_broker()) + inside.forget_orphans() + _end_throttles()


def _end_throttles() -> int:
    past = Throttle.objects.using(jobs_settings().database).filter(until__lt=get_broker().now())
    return int(past.filter(pk__in=list(past.order_by("until").values_list("pk", flat=True)[:CHUNK])).delete()[0])


def prune(policies: Iterable[QueuePolicy]) -> int:
    """Remove the ended jobs that these queues do not keep, for a second at most; returns how many."""
    end, now = clock.monotonic() + LONGEST, get_broker().now()
    todo: list[QuerySet[Job]] = []
    removed = 0
    with by_index(jobs_settings().database):
        for policy in policies:
            for state in sorted(ENDED):
                jobs = Job.objects.using(jobs_settings().database).filter(queue=policy.name, state=state)
                _bring_back(jobs, now)
                todo += _too_many(jobs, policy.retention, state, now)
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
    alive = Process.objects.using(jobs_settings().database).filter(lease_until__gt=get_broker().now())
    return [QueuePolicy(name) for name in sorted(names - set(alive.values_list("queue", flat=True)))]


def _bring_back(jobs: QuerySet[Job], now: datetime) -> None:
    """Let what ended in the future, by a clock that was ahead, have ended a minute ago: else only it would be kept."""
    ahead = jobs.filter(ended_at__gt=now + AHEAD).order_by("ended_at").values_list("id", flat=True)
    if ahead.first() is None:
        return
    with transaction.atomic(using=jobs.db):
        ids = list(ahead.select_for_update(skip_locked=True)[:CHUNK])
        jobs.filter(id__in=ids).update(ended_at=now - AHEAD)
    logger.warning("ended_in_the_future jobs=%d: the clock was ahead; they count as ended a minute ago", len(ids))


def _too_many(jobs: QuerySet[Job], retention: Retention, state: State, now: datetime) -> Iterator[QuerySet[Job]]:
    kept, age = _kept(retention, state)
    # without the condition, PostgreSQL would count a row without an end among the last
    ended = jobs.filter(ended_at__lte=now + AHEAD).order_by("-ended_at", "-id").values_list("ended_at", "id")
    boundary = ended[kept : kept + 1].first()
    if boundary is not None:
        ended_at, id = boundary
        # in words that begin with the index's column alone
        yield jobs.filter(Q(ended_at__lt=ended_at) | Q(id__lte=id), ended_at__lte=ended_at)
    if age is not None:
        yield ended_before(jobs, now - age)


def _kept(retention: Retention, state: State) -> tuple[int, timedelta | None]:
    if state == State.FAILED:
        return retention.failed, retention.failed_age
    return retention.completed, retention.age
