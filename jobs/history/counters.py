"""A queue in numbers: what lives now, and what has ended since ever, also where retention has removed the rows."""

from __future__ import annotations

from django.db.models import Sum

from ..broker import get_broker
from ..conf import jobs_settings
from ..models import QueueStat, TaskStat
from ..states import State
from . import lookup
from .counts import Counts
from .targets import HasName, name_of

TOTALS = ("completed", "failed", "cancelled", "expired", "retried", "lost", "discarded")


def counts(queue: HasName | str) -> Counts:
    """The queue in exact numbers, live and since ever; takes longer the more jobs live (about 0.1 s for a million).

    Raises `UnknownQueue`, and `InvalidOption` for what is neither a queue nor a name.
    """
    name = name_of(queue)
    live = get_broker().counts(name, exact=True)
    rows = lookup.all_jobs().filter(queue=name).order_by()
    return Counts(
        queue=name,
        waiting=live.waiting,
        scheduled=live.scheduled,
        active=live.active,
        pending=rows.filter(state=State.PENDING).count(),
        dead_letters=rows.filter(state=State.FAILED).count(),
        paused=live.paused,
        oldest_ready_at=live.oldest_ready_at,
        **totals(name),
    )


def totals(queue: str) -> dict[str, int]:
    """How often each of `TOTALS` happened on the queue since ever, also to jobs that are not there any more."""
    alias = jobs_settings().database
    before = QueueStat.objects.using(alias).filter(queue=queue).aggregate(**{name: Sum(name) for name in TOTALS})
    stats = TaskStat.objects.using(alias).filter(queue=queue, part__gte=0, outcome__in=TOTALS)
    sums = dict(stats.order_by().values_list("outcome").annotate(Sum("jobs")))
    return {name: sums.get(name, 0) + (before[name] or 0) for name in TOTALS}
