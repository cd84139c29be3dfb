"""What a schedule's options say, what people do with it, and what a broken one does to the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs import Cron, Every, InvalidTask, Queue, UnknownSchedule, clock
from jobs.broker import forget_broker, get_broker
from jobs.history.status.schedules import findings_of_schedules
from jobs.keep import tick
from jobs.models import Job, Schedule
from jobs.operate import schedules

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


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
    monkeypatch.setattr("jobs.defined.queues", lambda: {"lane": queue})
    return queue


def run_at(clock_at: list[datetime], *moments: datetime, new: bool = False) -> list[int]:
    fired = []
    for moment in moments:
        clock_at[0] = moment
        if new:
            tick.forget()
        fired.append(tick.run())
    return fired


@pytest.mark.parametrize(("missed", "fired"), [("once", 1), ("skip", 0), ("all", 5)])
def test_ticks_missed_while_no_keeper_ran(lane: Queue, clock_at: list[datetime], missed: str, fired: int) -> None:
    lane.task(name="t.hourly", schedule=Cron("0 * * * *", missed=missed))(lambda: None)
    assert run_at(clock_at, NOON, NOON + 5.5 * HOUR) == [0, fired]
    assert run_at(clock_at, NOON + 5.6 * HOUR, NOON + 6 * HOUR, new=True) == [0, 1]


def test_no_more_than_a_hundred_missed_ticks_are_made_up_for(lane: Queue, clock_at: list[datetime]) -> None:
    lane.task(name="t.often", schedule=Every(1, missed="all"))(lambda: None)
    assert run_at(clock_at, NOON, NOON + 900 * HOUR) == [0, 100]
    assert Schedule.objects.get().last_tick == NOON + 900 * HOUR


def test_every_second_ticks_each_second_though_the_keeper_comes_late(lane: Queue, clock_at: list[datetime]) -> None:
    lane.task(name="t.often", schedule=Every(1))(lambda: None)
    late = [NOON + number * 1.37 * SECOND for number in range(60)]
    assert sum(run_at(clock_at, *late)) == int(59 * 1.37)
    assert Job.objects.count() == int(59 * 1.37)


def test_keeper_sleeps_until_the_next_tick_and_no_longer_than_that(
    lane: Queue, clock_at: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "monotonic", lambda: 100.0)
    tick.run()
    assert tick.wait() == tick.INTERVAL  # nothing is defined
    lane.task(name="t.hourly", schedule=Cron("0 * * * *"))(lambda: None)
    tick.forget()
    tick.run()
    assert tick.wait() == tick.INTERVAL
    lane.task(name="t.often", schedule=Every(1))(lambda: None)
    run_at(clock_at, NOON + 0.25 * SECOND, new=True)
    assert tick.wait() == pytest.approx(0.75)


def test_schedule_ends_with_its_count_and_its_end(lane: Queue, clock_at: list[datetime]) -> None:
    lane.task(name="t.twice", schedule=Every(60, count=2))(lambda: None)
    lane.task(name="t.ends", schedule=Every(60, start=NOON + 2 * MINUTE, end=NOON + 3 * MINUTE))(lambda: None)
    assert run_at(clock_at, *(NOON + number * MINUTE for number in range(6))) == [0, 1, 2, 1, 0, 0]
    assert run_at(clock_at, NOON + 9 * MINUTE, new=True) == [0]
    assert schedules.ticks_to_come(Schedule.objects.get(name="t.twice"), 5) == []


def test_jitter_moves_the_job_and_not_the_tick(lane: Queue, clock_at: list[datetime]) -> None:
    clock_at[0] = clock.now().replace(microsecond=0)
    began = clock_at[0]
    lane.task(name="t.each", schedule=Every(1, jitter=3_600))(lambda: None)
    assert run_at(clock_at, *(began + number * SECOND for number in range(6))) == [0, 1, 1, 1, 1, 1]
    later = [job.ready_at - began for job in Job.objects.all()]
    assert len(set(later)) == 5
    assert all(timedelta(0) <= one <= 1.01 * HOUR for one in later)
    assert max(later) > 10 * SECOND


def test_several_schedules_of_one_task_tick_for_themselves(lane: Queue, clock_at: list[datetime]) -> None:
    both = [Cron("0 * * * *", timezone="UTC"), Cron("30 12 * * *", timezone="UTC")]
    lane.task(name="t.both", schedule=both)(lambda: None)
    assert run_at(clock_at, NOON, NOON + 30 * MINUTE, NOON + 60 * MINUTE) == [0, 1, 1]
    assert set(Schedule.objects.values_list("name", flat=True)) == {"t.both", "t.both 30 12 * * * UTC"}


@pytest.mark.parametrize("wrong", ["0 9 * * *", 300, [Every(60), 5], [Every(60), Every(60)]])
def test_what_is_no_schedule_is_refused_where_the_task_is_defined(lane: Queue, wrong: object) -> None:
    with pytest.raises(InvalidTask, match="schedule="):
        lane.task(name="t.wrong", schedule=wrong)(lambda: None)


def test_scheduled_task_takes_no_arguments(lane: Queue) -> None:
    with pytest.raises(InvalidTask, match="without arguments"):
        lane.task(name="t.wrong", schedule=Every(60))(lambda lead_id: None)


def test_schedule_taken_out_of_the_code_says_so_and_ticks_no_more(
    lane: Queue, clock_at: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.task(name="t.each", schedule=Every(60))(lambda: None)
    assert run_at(clock_at, NOON, NOON + MINUTE) == [0, 1]
    monkeypatch.setattr(schedules, "queues", dict)
    assert run_at(clock_at, NOON + 2 * MINUTE, new=True) == [0]
    assert Schedule.objects.get().gone_at == NOON + 2 * MINUTE
    # an older keeper that still has it goes on, and says that it is there
    monkeypatch.setattr(schedules, "queues", lambda: {"lane": lane})
    run_at(clock_at, NOON + 3 * MINUTE, new=True)
    assert Schedule.objects.get().gone_at is None


def test_disabled_schedule_ticks_no_more_and_makes_up_for_nothing_when_it_is_enabled(
    lane: Queue, clock_at: list[datetime]
) -> None:
    lane.task(name="t.each", schedule=Every(60, missed="all"))(lambda: None)
    assert run_at(clock_at, NOON, NOON + MINUTE) == [0, 1]
    schedules.disable("t.each")
    assert run_at(clock_at, NOON + 2 * MINUTE) == [0]  # at once, though this keeper has not read it again
    assert run_at(clock_at, NOON + 3 * MINUTE, new=True) == [0]
    clock_at[0] = NOON + 9.5 * MINUTE
    schedules.enable("t.each")
    assert run_at(clock_at, NOON + 9.6 * MINUTE, NOON + 10 * MINUTE, new=True) == [0, 1]


def test_run_now_leaves_the_ticks_as_they_are(lane: Queue, clock_at: list[datetime]) -> None:
    lane.task(name="t.each", schedule=Every(60))(lambda: None)
    run_at(clock_at, NOON)
    handle = schedules.run_now("t.each")
    assert Job.objects.get().pk == handle.id
    assert run_at(clock_at, NOON + MINUTE) == [1]
    with pytest.raises(UnknownSchedule, match="'t.none'"):
        schedules.run_now("t.none")


def test_row_of_a_person_ticks_with_its_arguments(lane: Queue, clock_at: list[datetime]) -> None:
    lane.task(name="t.of")(lambda lead_id, note="": None)
    Schedule.objects.create(
        name="Monday",
        task="t.of",
        expression="1 12 * * 1",
        timezone="UTC",
        args=[7],
        kwargs={"note": "x"},
        last_tick=NOON,
    )
    assert run_at(clock_at, NOON, NOON + MINUTE) == [0, 1]
    job = Job.objects.get()
    assert (job.args, job.kwargs, job.event) == ([7, "x"], {}, "tick Monday")


@pytest.mark.parametrize(
    "wrong",
    [{"task": "t.none"}, {"args": [1, 2, 3]}, {"expression": "0 0 30 2 *", "seconds": None}, {"timezone": "No/Where"}],
)
def test_broken_row_tells_its_trouble_and_stops_no_other(
    lane: Queue, clock_at: list[datetime], wrong: dict[str, object]
) -> None:
    lane.task(name="t.good", schedule=Every(60))(lambda: None)
    row = {"name": "a bad one", "task": "t.good", "seconds": 60, "last_tick": NOON, **wrong}
    if "timezone" in wrong:
        row |= {"seconds": None, "expression": "* * * * *"}
    bad = Schedule.objects.create(**row)
    assert run_at(clock_at, NOON, NOON + MINUTE, NOON + 2 * MINUTE) == [0, 1, 1]
    bad.refresh_from_db()
    assert bad.trouble
    assert "a bad one cannot tick" in findings_of_schedules()[0].text
    assert bad.trouble_at in (NOON, NOON + MINUTE)
