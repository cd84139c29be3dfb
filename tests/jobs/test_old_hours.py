"""The counters: their rows have a bound, and their sums stay what they were; on both vendors."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Sum

from jobs import clock
from jobs.history import old_hours
from jobs.history.old_hours import BEGINNING, KEPT, fold_old_hours
from jobs.keep import prune
from jobs.models import QueueStat

pytestmark = pytest.mark.usefixtures("each_database")
WEEKS = KEPT + timedelta(hours=2)


def count(hours: int, *, ago: timedelta = WEEKS, queue: str = "lane", parts: int = 1) -> None:
    """A row for each of so many hours, the youngest so long ago."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    QueueStat.objects.bulk_create(
        QueueStat(queue=queue, hour=now - ago - timedelta(hours=hour), part=part, completed=hour + 1, ran_ms=10)
        for hour in range(hours)
        for part in range(parts)
    )


def totals(queue: str = "lane") -> dict[str, int]:
    return QueueStat.objects.filter(queue=queue).aggregate(completed=Sum("completed"), ran_ms=Sum("ran_ms"))


def test_old_hours_become_one_row_a_queue_and_no_total_changes() -> None:
    count(50, parts=3)
    count(5, queue="gone")
    before = totals(), totals("gone")
    assert fold_old_hours() == 155
    assert (totals(), totals("gone")) == before
    assert list(QueueStat.objects.order_by("queue").values_list("queue", "hour")) == [
        ("gone", BEGINNING),
        ("lane", BEGINNING),
    ]
    count(3)
    assert fold_old_hours() == 3
    assert QueueStat.objects.count() == 2


def test_recent_hours_stay_what_they_are() -> None:
    count(24, ago=timedelta(0))
    assert fold_old_hours() == 0
    assert QueueStat.objects.count() == 24


def test_many_old_hours_go_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_hours, "CHUNK", 20)
    count(50)
    before = totals()
    assert [fold_old_hours() for _ in range(4)] == [20, 20, 10, 0]
    assert totals() == before


def test_the_keeper_prunes_the_counters_too() -> None:
    count(5)
    assert prune.run() == 5
