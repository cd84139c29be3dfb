"""The counters of past hours: added to the totals soon after, so that those are few rows, and shown for a week."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from django.db import connections, transaction

from ..broker import get_broker
from ..broker.database.rows import add_counts_of_hour
from ..broker.tally import DISCARDED, ENDS, LOST, NO_START, RETRIED, Cell, Sums, Tally
from ..conf import jobs_settings
from ..models import QueueStat, TaskStat

#: So long after it began an hour is added to the totals; and for so long it is shown by itself.
SETTLED, KEPT = timedelta(hours=1, minutes=5), timedelta(days=7)
#: The hour of the rows that hold the totals.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
#: Rows of one transaction.
CHUNK = 1_000
_COUNTED = (*ENDS, RETRIED, LOST, DISCARDED)


def fold_old_hours() -> int:
    """Add past hours to the totals, and remove what was shown for long enough; a chunk of each.

    Returns how many rows went.
    """
    now = get_broker().now()
    return _add_to_totals(now - SETTLED) + _take_over() + _end_shown(now - KEPT)


class Sheet:
    """Counters to be added, by queue, hour and part."""

    def __init__(self) -> None:
        self._tallies: defaultdict[tuple[datetime, int, str], Tally] = defaultdict(Tally)

    def add(self, row: TaskStat, hour: datetime, part: int) -> None:
        """Add a row's numbers to another hour and part."""
        cell, sums = Cell(row.task, row.outcome, row.ran, row.waited), Sums(row.jobs, row.ran_ms, row.waited_ms)
        self._tallies[hour, part, row.queue].add_sums(cell, sums)

    def write(self, alias: str) -> None:
        """Write all, in an order that is everybody's, so that nobody waits for each other; in a transaction."""
        with connections[alias].cursor() as cursor:
            for (hour, part, queue), tally in sorted(self._tallies.items(), key=itemgetter(0)):
                add_counts_of_hour(cursor, connections[alias].vendor, queue, hour, tally, part)


def _add_to_totals(before: datetime) -> int:
    alias = jobs_settings().database
    past = TaskStat.objects.using(alias).filter(part__gte=0, hour__gt=BEGINNING, hour__lt=before)
    if not past.exists():
        return 0
    sheet = Sheet()
    with transaction.atomic(using=alias):
        # another keeper may be at the same rows
        rows = list(past.select_for_update(skip_locked=True).order_by("pk")[:CHUNK])
        for row in rows:
            sheet.add(row, BEGINNING, 0)
            sheet.add(row, row.hour, TaskStat.SHOWN)
        sheet.write(alias)
        TaskStat.objects.using(alias).filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _take_over() -> int:
    """Take over what workers of the release before this one have counted."""
    alias = jobs_settings().database
    left = QueueStat.objects.using(alias)
    if not left.exists():
        return 0
    sheet = Sheet()
    with transaction.atomic(using=alias):
        rows = list(left.select_for_update(skip_locked=True).order_by("pk")[:CHUNK])
        for row in rows:
            for outcome in _COUNTED:
                known = TaskStat(queue=row.queue, outcome=outcome, ran=NO_START, waited=NO_START)
                known.jobs, known.ran_ms, known.waited_ms = getattr(row, outcome), 0, 0
                if outcome == ENDS[0]:  # its times are of all its jobs together
                    known.ran_ms, known.waited_ms = row.ran_ms, row.waited_ms
                if known.jobs or known.ran_ms or known.waited_ms:
                    sheet.add(known, BEGINNING, 0)
        sheet.write(alias)
        left.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _end_shown(before: datetime) -> int:
    alias = jobs_settings().database
    shown = TaskStat.objects.using(alias).filter(part=TaskStat.SHOWN, hour__lt=before)
    return int(shown.filter(pk__in=list(shown.order_by("pk").values_list("pk", flat=True)[:CHUNK])).delete()[0])
