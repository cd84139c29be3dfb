"""The counters of past hours, added up when they are old: their rows have a bound, and the totals stay exact."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F

from ..broker import get_broker
from ..conf import jobs_settings
from ..models import QueueStat

#: For so long each hour has rows of its own.
KEPT = timedelta(days=7)
#: The hour of the row that holds everything older.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
#: Rows of one transaction.
CHUNK = 1_000
_SUMS = ("completed", "failed", "retried", "lost", "cancelled", "expired", "discarded", "ran_ms", "waited_ms")


def fold_old_hours() -> int:
    """Add old hours to their queue's row of the beginning of time, a chunk of them; returns how many rows went."""
    alias = jobs_settings().database
    stats = QueueStat.objects.using(alias)
    old = stats.filter(hour__gt=BEGINNING, hour__lt=get_broker().now() - KEPT)
    if not old.exists():
        return 0
    sums: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SUMS, 0))
    with transaction.atomic(using=alias):
        # another keeper may be at the same rows
        rows = list(old.select_for_update(skip_locked=True).order_by("pk")[:CHUNK])
        for row in rows:
            for name in _SUMS:
                sums[row.queue][name] += getattr(row, name)
        for queue, numbers in sorted(sums.items()):
            total, _ = stats.get_or_create(queue=queue, hour=BEGINNING, part=0)
            stats.filter(pk=total.pk).update(**{name: F(name) + number for name, number in numbers.items()})
        stats.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)
