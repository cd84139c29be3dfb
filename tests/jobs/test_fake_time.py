"""`jobs.testing.fake_time`: a test moves the clock, on both databases, in a TestCase too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import TestCase
from django.utils import timezone

from jobs import Cron, Fixed, InvalidOption, NotSupported, Queue, clock
from jobs.broker import get_broker
from jobs.models import Job, Schedule
from jobs.operate import schedules
from jobs.testing import Clock, fake_time, run_jobs
from tests.each_broker import each_broker as each_broker

MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SOON = timedelta(seconds=30)
lane = Queue("fake_time_lane", attempts=2, backoff=Fixed(600))
seen: list[tuple[str, datetime]] = []


@lane.task(name="fake_time.note")
def note(name: str) -> None:
    seen.append((name, timezone.now()))


@lane.task(name="fake_time.fail")
def fail() -> None:
    seen.append(("fail", timezone.now()))
    raise ValueError


@lane.task(name="fake_time.daily", schedule=Cron("0 9 * * *", timezone="UTC"))
def daily() -> None:
    seen.append(("daily", timezone.now()))


@pytest.fixture(autouse=True)
def _only_this_lane(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(schedules, "queues", lambda: {lane.name: lane})
    seen.clear()
    yield
    assert abs(timezone.now() - datetime.now(UTC)) < SOON, "the clock is still moved"


def assert_seen(*expected: tuple[str, datetime]) -> None:
    assert [name for name, _moment in seen] == [name for name, _moment in expected]
    assert [name for (name, at), (_name, due) in zip(seen, expected, strict=True) if not due <= at < due + SOON] == []


def walk() -> None:
    with fake_time(MONDAY) as moved:
        note.using(delay=2 * HOUR).enqueue("delayed")
        note.using(at=MONDAY + DAY).enqueue("at")
        note.using(delay=2 * HOUR, expires=3 * HOUR, priority=9).enqueue("in time")
        fail.using(delay=timedelta(minutes=30)).enqueue()
        assert len(run_jobs(until=2 * DAY + 2 * HOUR)) == 8
        assert timedelta(0) <= moved.now - (MONDAY + 2 * DAY + 2 * HOUR) < SOON
    half, tick = MONDAY + HOUR / 2, MONDAY + HOUR
    assert_seen(
        ("fail", half),
        ("fail", half + timedelta(seconds=600)),
        ("daily", tick),
        ("delayed", MONDAY + 2 * HOUR),
        ("in time", MONDAY + 2 * HOUR),
        ("at", MONDAY + DAY),
        ("daily", tick + DAY),
        ("daily", tick + 2 * DAY),
    )


def test_run_jobs_goes_through_the_time_and_each_job_and_tick_sees_its_own(each_database: str) -> None:
    walk()
    created = Job.objects.values_list("created_at", flat=True)
    assert {moment.year for moment in created} == {2026}
    assert max(created) < MONDAY + 3 * DAY


class InATestCase(TestCase):
    @pytest.fixture(autouse=True)
    def _lane(self, _only_this_lane: None) -> None:
        pass

    def test_the_same_where_nothing_commits(self) -> None:
        walk()


def test_a_jump_starts_late_what_came_due_and_misses_ticks(each_database: str) -> None:
    with fake_time() as moved:
        note.using(delay=HOUR, expires=2 * HOUR).enqueue("expired")
        note.using(delay=HOUR).enqueue("late")
        moved.move(3_590)
        assert run_jobs() == []
        moved.move(4 * DAY)
        run_jobs()
        now = moved.now
        assert abs(get_broker().now() - now) < SOON
    assert sorted(name for name, _moment in seen) == ["daily", "late"]  # missed="once"
    assert min(moment for _name, moment in seen) > now - SOON
    assert Job.objects.get(state="expired").task == "fake_time.note"


def test_ids_go_with_the_time_and_back(db: None) -> None:
    with fake_time(MONDAY + 3_650 * DAY):
        ahead = clock.new_id()
    assert ahead > clock.new_id()
    assert ahead.int >> 80 == pytest.approx((MONDAY + 3_650 * DAY).timestamp() * 1_000, abs=30_000)


def test_everything_scheduled_ends_though_schedules_never_do(jobs_clock: Clock) -> None:
    note.using(delay=DAY + 12 * HOUR).enqueue("later")
    run_jobs(include_scheduled=True)
    assert [name for name, _moment in seen].count("later") == 1
    assert len(seen) in (2, 3)
    assert run_jobs(include_scheduled=True) == []
    assert Schedule.objects.count() == 1


def test_the_clock_goes_forward_only_and_takes_aware_moments(jobs_clock: Clock) -> None:
    with pytest.raises(InvalidOption, match="forward only"):
        jobs_clock.move(-1)
    with pytest.raises(InvalidOption, match="of the next ten years"):
        jobs_clock.move_to(jobs_clock.now - HOUR)
    with pytest.raises(InvalidOption, match="expected an aware datetime"):
        jobs_clock.move_to(datetime(2126, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidOption, match="forward only"):
        jobs_clock.move(1e18)
    with pytest.raises(InvalidOption, match=r"inside fake_time\(\)"), fake_time():
        pass


@pytest.mark.parametrize("each_broker", ["redis"], indirect=True)
def test_redis_goes_by_its_own_clock_and_that_is_said(each_broker: str) -> None:
    with (
        pytest.raises(NotSupported, match=r"Leave REDIS_URL unset in your tests, or use run_jobs\(until="),
        fake_time(),
    ):
        pass
