"""What the counters of a queue say."""

from __future__ import annotations

from django.db.models import Sum

from jobs.history.counters import totals
from jobs.models import TaskStat


def counted(queue: str) -> dict[str, int]:
    """How many jobs by outcome, those that are not zero."""
    return {name: number for name, number in totals(queue).items() if number}


def times(queue: str) -> tuple[int, int]:
    """For how many milliseconds its jobs ran, and for how many they had been due before."""
    sums = TaskStat.objects.filter(queue=queue, part__gte=0).aggregate(ran=Sum("ran_ms"), waited=Sum("waited_ms"))
    return sums["ran"] or 0, sums["waited"] or 0
