"""What the hours tell: percentiles out of classes of time, rates, parts and tasks put together; on both vendors."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest
from django.db import connection

from jobs import clock
from jobs.broker.database.rows import add_counts, add_counts_of_hour
from jobs.broker.tally import BOUNDS, Tally
from jobs.history.hours import CLASSES, figures_by_hour, figures_by_task, percentile, sum_of
from jobs.history.old_hours import fold_old_hours


def this_hour() -> datetime:
    return clock.now().replace(minute=0, second=0, microsecond=0)


def count(task: str, outcome: str, times: list[int], at: datetime, queue: str = "lane") -> None:
    """Starts that ran for so many milliseconds and had waited for twice as long, as a worker counts them."""
    tally = Tally()
    for milliseconds in times:
        tally.add_start(task, outcome, milliseconds, 2 * milliseconds)
    with connection.cursor() as cursor:
        add = add_counts if at == this_hour() else add_counts_of_hour
        add(cursor, connection.vendor, queue, at, tally)


@pytest.mark.parametrize("part", [0.5, 0.95, 0.99])
def test_a_percentile_lies_in_the_class_of_the_true_one(part: float) -> None:
    random = Random(7)
    for size in (1, 2, 3, 10, 99, 1_000):
        times = sorted(int(random.lognormvariate(6, 2)) for _ in range(size))
        counts = [0] * CLASSES
        for milliseconds in times:
            counts[sum(milliseconds > bound for bound in BOUNDS)] += 1
        true = times[max(0, -int(-part * size // 1) - 1)] / 1_000
        found = percentile(counts, part)
        assert found is not None
        assert found.low <= true <= (found.high if found.high is not None else float("inf")), (times, part, found)
        if found.seconds is not None:
            assert found.low <= found.seconds <= (found.high or 0.0)


def test_what_took_longer_than_every_class_has_no_number() -> None:
    found = percentile([0] * (CLASSES - 1) + [5], 0.5)
    assert found is not None
    assert (found.low, found.high, found.seconds) == (1_800.0, None, None)
    assert percentile([0] * CLASSES, 0.5) is None


@pytest.mark.usefixtures("each_database")
def test_the_hours_of_all_tasks_and_parts_are_put_together() -> None:
    now = this_hour()
    for _part in range(5):
        count("a", "completed", [5, 40], now)
    count("b", "retried", [700], now)
    count("b", "failed", [700, 700], now - timedelta(hours=3))
    count("b", "completed", [1], now - timedelta(hours=4))
    count("b", "completed", [1], now, queue="other")
    fold_old_hours()
    found = figures_by_hour(now - timedelta(hours=3))
    assert {queue: {now - hour for hour in hours} for queue, hours in found.items()} == {
        "lane": {timedelta(0), timedelta(hours=3)},
        "other": {timedelta(0)},
    }
    whole = sum_of(found["lane"].values())
    assert whole.outcomes == {"completed": 10, "retried": 1, "failed": 2}
    assert (whole.attempts, whole.ended, whole.error_rate) == (13, 12, 3 / 13)
    assert whole.ran[:6] == (5, 5, 0, 0, 0, 3)
    assert whole.waited[:7] == (5, 0, 5, 0, 0, 0, 3)
    assert {task: one.attempts for task, one in figures_by_task(now, "lane").items()} == {"a": 10, "b": 1}


@pytest.mark.usefixtures("each_database")
def test_an_hour_is_of_those_before_its_end_and_not_of_those_after_it() -> None:
    for hours in range(3):
        count("a", "completed", [5], this_hour() - timedelta(hours=hours))
    hour = timedelta(hours=1)
    assert set(figures_by_hour(this_hour() - 2 * hour, until=this_hour())["lane"]) == {
        this_hour() - hour,
        this_hour() - 2 * hour,
    }
    assert figures_by_hour(this_hour() + hour) == {}
