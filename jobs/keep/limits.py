"""Duty: forget what was granted to queues that have no rate limit any more, or are defined no more."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from ..broker import get_broker
from ..conf import jobs_settings
from ..defined import queues
from ..models import Grant, QueueState
from ..policy import ONE_DAY

#: Seconds between two runs.
INTERVAL = 600.0
#: So long nothing must have been granted: while a deploy rolls, other machines may know a limit that this one does not.
QUIET = timedelta(seconds=ONE_DAY)


def run() -> int:
    """Forget the grants of such queues; returns of how many queues."""
    alias = jobs_settings().database
    set_here = set(QueueState.objects.using(alias).filter(rate_limit__gt=0).values_list("queue", flat=True))
    limited = set_here | {name for name, queue in queues().items() if queue.policy.rate_limit is not None}
    since = get_broker().now() - QUIET
    forgotten = 0
    for name in Grant.objects.using(alias).filter(subject="").values_list("queue", flat=True).distinct():
        granted = Grant.objects.using(alias).filter(queue=name, subject="")
        if name not in limited and not granted.filter(start_by__gt=since).exists():
            with transaction.atomic(using=alias):
                QueueState.objects.using(alias).filter(queue=name).update(taken=None)  # locks out a claim
                granted.delete()
            forgotten += 1
    return forgotten
