"""Duty: forget what was granted to queues that have no rate limit any more, and what empty groups have left."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from ..broker import get_broker
from ..conf import jobs_settings
from ..defined import queues
from ..models import Grant, GroupState, Job, QueueState
from ..policy import ONE_DAY
from ..states import State

#: Seconds between two runs.
INTERVAL = 60.0
#: So long nothing must have been granted: while a deploy rolls, other machines may know a limit that this one does not.
QUIET = timedelta(seconds=ONE_DAY)


def run() -> int:
    """Forget the grants of such queues; returns of how many queues."""
    alias = jobs_settings().database
    set_here = set(QueueState.objects.using(alias).filter(rate_limit__gt=0).values_list("queue", flat=True))
    limited = set_here | {name for name, queue in queues().items() if queue.policy.rate_limit is not None}
    now = get_broker().now()
    forgotten = 0
    for name in Grant.objects.using(alias).filter(subject="").values_list("queue", flat=True).distinct():
        granted = Grant.objects.using(alias).filter(queue=name, subject="")
        if name not in limited and not granted.filter(start_by__gt=now - QUIET).exists():
            with transaction.atomic(using=alias):
                QueueState.objects.using(alias).filter(queue=name).update(taken=None)  # locks out a claim
                granted.delete()
            forgotten += 1
    _forget_groups(now)
    return forgotten


def _forget_groups(now: datetime) -> None:
    """Forget which groups have started something, were told to wait or had their turn, once it matters no more."""
    alias = jobs_settings().database
    grants = Grant.objects.using(alias).filter(subject__startswith="g")
    for name in list(grants.values_list("queue", flat=True).distinct()):
        grants.filter(queue=name, start_by__lt=now - _longest(name)).delete()
    # a limit's own claims remove what is over; this is for what no task names any more
    limits = [limit for queue in queues().values() for ones in queue.policy.limits.values() for limit in ones]
    longest = max((timedelta(seconds=limit.rate_limit.per) for limit in limits), default=QUIET)
    of_limits = Grant.objects.using(alias).filter(queue="", subject__startswith="l")
    of_limits.filter(start_by__lt=now - max(QUIET, longest)).delete()
    over = GroupState.objects.using(alias).filter(wait_until__lte=now)
    over.filter(paused=False, concurrency=None, rate_limit=None).delete()
    waiting = Job.objects.using(alias).filter(state=State.QUEUED).exclude(lane="")
    for name in QueueState.objects.using(alias).exclude(turns="").values_list("queue", flat=True):
        # one by one: each goes by an index of its own
        if not any(waiting.filter(queue=name, alone=alone).exists() for alone in (False, True)):
            QueueState.objects.using(alias).filter(queue=name).update(turns="")


def _longest(queue: str) -> timedelta:
    """The longest window of any of a queue's groups, as far as this machine knows."""
    settings = GroupState.objects.using(jobs_settings().database).filter(queue=queue)
    periods = [INTERVAL, settings.aggregate(longest=Max("rate_per"))["longest"] or 0.0]
    if (known := queues().get(queue)) is None:
        periods.append(ONE_DAY)
    elif (rate := known.policy.groups.rate_limit) is not None:
        periods.append(rate.per)
    return timedelta(seconds=max(periods))
