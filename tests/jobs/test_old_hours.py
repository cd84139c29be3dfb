"""The counters: those of past hours become totals and are shown for a week; no sum changes; on both vendors."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db.models import Sum

from jobs import clock
from jobs.history import old_hours
from jobs.history.old_hours import BEGINNING, KEPT, fold_old_hours
from jobs.keep import prune
from jobs.models import QueueStat, TaskStat
from tests.counted import counted, times

pytestmark = pytest.mark.usefixtures("each_database")


def hour_before(ago: timedelta) -> datetime:
    return clock.now().replace(minute=0, second=0, microsecond=0) - ago


def count(hours: int, *, ago: timedelta = timedelta(hours=1), queue: str = "lane", parts: int = 1) -> None:
    """A row for each of so many hours, the youngest so long ago and an hour more."""
    TaskStat.objects.bulk_create(
        TaskStat(
            **{"queue": queue, "task": "t", "outcome": "completed", "ran": 1, "waited": 0, "part": part},
            **{"hour": hour_before(ago) - timedelta(hours=hour + 1), "jobs": hour + 1, "ran_ms": 10, "waited_ms": 0},
        )
        for hour in range(hours)
        for part in range(parts)
    )


def shown() -> dict[datetime, int]:
    rows = TaskStat.objects.filter(hour__gt=BEGINNING).order_by()
    return dict(rows.values_list("hour").annotate(Sum("jobs")))


def test_past_hours_become_one_row_of_totals_and_are_shown_for_a_week() -> None:
    count(50, parts=3)
    count(5, queue="gone", ago=KEPT)
    before = counted("lane"), counted("gone"), times("lane")
    was_shown = shown()
    assert fold_old_hours() == 155 + 5
    assert (counted("lane"), counted("gone"), times("lane")) == before
    assert shown() == {hour: jobs for hour, jobs in was_shown.items() if hour > hour_before(KEPT)}
    assert TaskStat.objects.filter(part__gte=0).count() == 2
    count(3, ago=KEPT)
    assert fold_old_hours() == 3 + 3
    assert TaskStat.objects.filter(part__gte=0).count() == 2


def test_the_hours_of_now_stay_what_they_are() -> None:
    count(1, ago=timedelta(hours=-1))
    assert fold_old_hours() == 0


def test_many_past_hours_go_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_hours, "CHUNK", 20)
    count(50)
    before = counted("lane")
    assert [fold_old_hours() for _ in range(4)] == [20, 20, 10, 0]
    assert counted("lane") == before


def test_what_the_release_before_this_one_counted_is_taken_over_by_the_keeper() -> None:
    QueueStat.objects.create(queue="lane", hour=hour_before(timedelta(0)), completed=3, retried=1, ran_ms=7)
    assert counted("lane") == {"completed": 3, "retried": 1}
    assert prune.run() == 1
    assert (counted("lane"), times("lane")) == ({"completed": 3, "retried": 1}, (7, 0))
