from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from huey import crontab

from jobs import Queue
from jobs.broker import forget_broker, get_broker
from jobs.keep import tick
from jobs.models import Job, Schedule

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
    monkeypatch.setattr(tick, "queues", lambda: {"lane": queue})
    return queue


def last_tick_is(name: str, moment: datetime) -> None:
    Schedule.objects.update_or_create(task=name, defaults={"last_tick": moment.replace(second=0)})


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


def test_schedule_is_asked_in_utc(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(crontab(minute="0", hour="12"), name="t.noon")(lambda: None)
    last_tick_is("t.noon", NOON - MINUTE)
    assert tick.run() == 1


def test_wrong_schedule_does_not_stop_the_others(lane: Queue, clock_at: list[datetime]) -> None:
    lane.periodic_task(lambda moment: 1 / 0, name="t.bad")(lambda: None)
    lane.periodic_task(crontab(), name="t.good")(lambda: None)
    for name in ("t.bad", "t.good"):
        last_tick_is(name, NOON - MINUTE)
    with pytest.raises(ZeroDivisionError):
        tick.run()
    assert [job.task for job in Job.objects.all()] == ["t.good"]


def test_job_that_cannot_be_enqueued_leaves_the_tick_to_be_fired(
    lane: Queue, clock_at: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = lane.periodic_task(crontab(), name="t.each")(lambda: None)
    last_tick_is("t.each", NOON - MINUTE)
    with monkeypatch.context() as broken:
        broken.setattr(type(task), "enqueue", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tick.run()
    assert Schedule.objects.get().last_tick == NOON.replace(second=0) - MINUTE
    assert tick.run() == 1


def test_of_many_keepers_at_the_same_moment_one_fires(lane: Queue, clock_at: list[datetime]) -> None:
    task = lane.periodic_task(crontab(), name="t.each")(lambda: None)
    last_tick_is("t.each", NOON - MINUTE)
    barrier, fired = threading.Barrier(6, timeout=10), []

    def fire() -> None:
        from django.db import connections

        barrier.wait()
        fired.append(tick._fire("t.each", task, NOON.replace(second=0)))
        connections.close_all()

    threads = [threading.Thread(target=fire) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(fired) == [False] * 5 + [True]
    assert Job.objects.count() == 1
