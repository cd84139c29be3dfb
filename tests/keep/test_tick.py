from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from huey import crontab

from jobs import Queue, clock
from jobs.broker import forget_broker, get_broker
from jobs.keep import tick
from jobs.models import ClockJump, Job, Schedule
from jobs.operate import schedules

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 23, 12, 0, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[datetime]]:
    """A list whose one element is the broker's time."""
    moment = [NOON]
    monkeypatch.setattr(type(get_broker()), "now", lambda self: moment[0])
    tick.forget()
    yield moment
    tick.forget()
    forget_broker()


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue("lane")
    monkeypatch.setattr(schedules, "queues", lambda: {"lane": queue})
    return queue


def last_tick_is(name: str, moment: datetime) -> None:
    told = {"task": name, "from_code": True, "last_tick": moment.replace(second=0)}
    Schedule.objects.update_or_create(name=name, defaults=told)


def test_new_schedule_begins_with_the_next_minute_and_fires_once_in_it(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(crontab(), name="t.each")(lambda: None)
    assert tick.run() == 0
    clock_at[0] = NOON + MINUTE
    assert [tick.run(), tick.run()] == [1, 0]
    tick.forget()  # another keeper
    assert tick.run() == 0
    assert Job.objects.count() == 1


def test_after_a_time_without_keepers_the_newest_missed_minute_fires_once(
    lane: Queue, clock_at: list[datetime]
) -> None:
    lane.periodic_task(crontab(minute="*/20"), name="t.third")(lambda: None)
    last_tick_is("t.third", NOON - timedelta(hours=5))
    clock_at[0] = NOON + timedelta(minutes=50)
    assert tick.run() == 1
    assert Schedule.objects.get().last_tick == datetime(2026, 11, 23, 12, 40, tzinfo=UTC)
    assert Job.objects.count() == 1


def test_minute_missed_more_than_a_day_ago_does_not_fire(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(crontab(minute="0", hour="11", day="22"), name="t.old")(lambda: None)
    last_tick_is("t.old", NOON - timedelta(days=3))
    assert tick.run() == 0


def test_crontab_is_asked_in_local_time(lane: Queue, clock_at: list[datetime], settings: Any) -> None:
    settings.TIME_ZONE = "America/Sao_Paulo"
    lane.periodic_task(crontab(minute="0", hour="9"), name="t.nine")(lambda: None)
    last_tick_is("t.nine", NOON - MINUTE)
    assert tick.run() == 1


def test_wrong_schedule_does_not_stop_the_others(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(lambda moment: 1 / 0, name="t.bad")(lambda: None)
    lane.periodic_task(crontab(), name="t.good")(lambda: None)
    for name in ("t.bad", "t.good"):
        last_tick_is(name, NOON - MINUTE)
    assert tick.run() == 1
    assert [job.task for job in Job.objects.all()] == ["t.good"]
    assert Schedule.objects.get(name="t.bad").trouble == "ZeroDivisionError: division by zero"


def test_job_that_cannot_be_enqueued_leaves_the_tick_to_be_fired(
    lane: Queue, clock_at: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = lane.periodic_task(crontab(), name="t.each")(lambda: None)
    last_tick_is("t.each", NOON - MINUTE)
    with monkeypatch.context() as broken:
        broken.setattr(type(task), "using", lambda self, **options: 1 / 0)
        assert tick.run() == 0
    assert Schedule.objects.get().last_tick == NOON.replace(second=0) - MINUTE
    later = clock.monotonic() + 2.5
    monkeypatch.setattr(clock, "monotonic", lambda: later)  # its rest is over
    assert tick.run() == 1
    assert Schedule.objects.get().trouble == ""


def test_schedule_that_ticked_while_the_clock_was_ahead_goes_on_within_a_minute(
    lane: Queue, clock_at: list[datetime]
) -> None:
    lane.periodic_task(crontab(), name="t.each")(lambda: None)
    last_tick_is("t.each", NOON)
    clock_at[0] = NOON + MINUTE
    assert tick.run() == 1
    clock_at[0] = NOON + timedelta(days=400)
    assert tick.run() == 1
    clock_at[0] = NOON + 2 * MINUTE
    tick.forget()  # a restart
    assert [tick.run(), tick.run()] == [1, 0]
    clock_at[0] = NOON + 3 * MINUTE
    assert tick.run() == 1
    assert ClockJump.objects.get().ahead == pytest.approx(400 * 86_400, abs=200)


def test_tick_that_fired_ahead_of_its_time_does_not_fire_again_when_that_comes(
    lane: Queue, clock_at: list[datetime]
) -> None:
    lane.periodic_task(crontab(), name="t.each")(lambda: None)
    fired = []
    # ahead by ten minutes for three, then right again for a quarter of an hour
    for minute in [0, 1, 12, 13, 14, *range(5, 20)]:
        clock_at[0] = NOON + minute * MINUTE
        fired += [minute] * tick.run()
    assert fired == [1, 12, 13, 14, 5, 6, 7, 8, 9, 10, 11, 15, 16, 17, 18, 19]


def test_tick_missed_while_the_clock_was_ahead_fires_once_it_is_right(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(crontab(minute="3"), name="t.third")(lambda: None)
    last_tick_is("t.third", NOON - timedelta(minutes=50))
    assert tick.run() == 0
    clock_at[0] = NOON + timedelta(days=300)
    assert tick.run() == 1
    clock_at[0] = NOON + 5 * MINUTE
    assert [tick.run(), tick.run()] == [1, 0]
    assert Schedule.objects.get().last_tick == datetime(2026, 11, 23, 12, 3, tzinfo=UTC)


def test_last_tick_to_come_of_which_no_more_is_known_stops_nothing(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(crontab(), name="t.each")(lambda: None)
    last_tick_is("t.each", NOON + timedelta(days=400))
    assert tick.run() == 0
    clock_at[0] = NOON + MINUTE
    assert tick.run() == 1


def test_clock_that_is_set_back_fires_no_tick_a_second_time(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(crontab(), name="t.each")(lambda: None)
    fired = []
    for minute in [*range(10), *range(6, 13)]:
        clock_at[0] = NOON + minute * MINUTE
        fired += [minute] * tick.run()
    assert fired == [*range(1, 13)]


def test_tick_that_cannot_be_enqueued_stops_no_other(
    lane: Queue, clock_at: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = lane.periodic_task(crontab(), name="t.bad")(lambda: None)
    lane.periodic_task(crontab(), name="t.good")(lambda: None)
    for name in ("t.bad", "t.good"):
        last_tick_is(name, NOON - MINUTE)
    real = type(bad).using
    monkeypatch.setattr(type(bad), "using", lambda self, **told: 1 / 0 if self is bad else real(self, **told))
    for number in (1, 2):
        assert tick.run() == 1
        assert [job.task for job in Job.objects.all()] == ["t.good"] * number
        clock_at[0] += MINUTE


def test_schedule_whose_row_was_removed_begins_anew(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(crontab(), name="t.each")(lambda: None)
    for minute, fired in enumerate([0, 1, 0, 1]):
        clock_at[0] = NOON + minute * MINUTE
        if minute == 2:
            Schedule.objects.all().delete()
        assert tick.run() + tick.run() == fired


def test_of_many_keepers_at_the_same_moment_one_fires(lane: Queue, clock_at: list[datetime]) -> None:
    task = lane.periodic_task(crontab(), name="t.each")(lambda: None)
    last_tick_is("t.each", NOON - MINUTE)
    row, [rule] = Schedule.objects.get(), task.schedules.values()
    barrier, fired = threading.Barrier(6, timeout=60), []

    def fire() -> None:
        from django.db import connections

        barrier.wait()
        fired.append(tick._fire(tick._Plan(row, rule, task, NOON, NOON), NOON.replace(second=0)))
        connections.close_all()

    threads = [threading.Thread(target=fire) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(fired) == [False] * 5 + [True]
    assert Job.objects.count() == 1
