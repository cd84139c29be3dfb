"""After the clock was ahead: the history, the counters and the status (G6, G9)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from jobs import Queue, clock
from jobs.broker import get_broker
from jobs.history.status.finding import Finding
from jobs.history.status.report import report
from jobs.keep import prune, rewind
from jobs.models import ClockJump, Job, Schedule, TaskStat
from jobs.policy import QueuePolicy, Retention
from tests.contract.hands import Hands
from tests.databases import KNOWN, goes_by, plans_of, statistics_of_jobs

YEAR = timedelta(days=400, hours=1)


@pytest.fixture
def hands(each_database: str) -> Hands:
    return Hands(get_broker())


def findings() -> dict[str, Finding]:
    return {finding.code: finding for finding in report().findings}


def from_the_future(hands: Hands, number: int = 1) -> None:
    """Jobs as a clock that was ahead has accepted them."""
    ids = [hands.push() for _ in range(number)]
    moment = get_broker().now() + YEAR
    Job.objects.filter(pk__in=ids).update(created_at=moment, timed_at=moment, ready_at=moment)


def test_the_status_tells_before_and_after_that_the_clock_was_ahead(hands: Hands) -> None:
    from_the_future(hands, 3)
    before = findings()["jobs_to_come"]
    assert before.needs_person
    assert "3 jobs were accepted at a moment that is yet to come" in before.text
    assert rewind.run() == 3
    after = findings()
    assert "jobs_to_come" not in after
    assert not after["clock_was_ahead"].needs_person
    assert "was ahead by 400 days until" in after["clock_was_ahead"].text
    assert "3 jobs were due in the future" in after["clock_was_ahead"].text
    assert rewind.run() == 0
    ClockJump.objects.update(noticed_at=get_broker().now() - timedelta(days=2))
    assert "clock_was_ahead" not in findings()


def test_a_row_without_a_note_of_its_due_time_is_known_by_when_it_was_made(hands: Hands) -> None:
    job_id = hands.push()
    Job.objects.update(created_at=get_broker().now() + YEAR, ready_at=get_broker().now() + YEAR, timed_at=None)
    Job.objects.update(ready_at=Job.objects.get().created_at)
    assert rewind.run() == 1
    assert hands.claim_ids() == [job_id]


def test_jobs_that_ended_in_the_future_do_not_push_younger_ones_out_of_the_history(hands: Hands) -> None:
    hands.push_all([hands.new_job() for _ in range(6)])
    jobs = hands.claim()
    for job in jobs[:3]:
        hands.settle(job)
    Job.objects.filter(state="completed").update(ended_at=get_broker().now() + YEAR)
    rewind.run()
    for job in jobs[3:]:
        hands.settle(job)
    prune.prune([QueuePolicy("lane", retention=Retention(completed=3))])
    assert set(Job.objects.values_list("pk", flat=True)) == {job.id for job in jobs[3:]}
    assert not Job.objects.filter(ended_at__gt=get_broker().now()).exists()


def test_counters_of_hours_to_come_are_added_to_this_hour(hands: Hands) -> None:
    hour = get_broker().now().replace(minute=0, second=0, microsecond=0)
    cell = {"queue": "lane", "task": "t", "outcome": "completed", "ran": 0, "waited": 0, "part": 0, "waited_ms": 0}
    TaskStat.objects.create(**cell, hour=hour, jobs=2, ran_ms=0)
    for days in (1, 400):
        TaskStat.objects.create(**cell, hour=hour + timedelta(days=days), jobs=3, ran_ms=5)
    rewind.run()
    assert list(TaskStat.objects.values_list("hour", "jobs", "ran_ms")) == [(hour, 8, 10)]


def test_accepted_jobs_of_the_outbox_from_the_future_are_relayed(each_database: str) -> None:
    from jobs.keep import relay

    queue = Queue("outbox_lane")
    task = queue.task(name="rewind.one")(lambda: None)
    for moment in (clock.now() + timedelta(hours=1), None):
        with transaction.atomic():
            task.using(key="k", at=moment).enqueue()
            transaction.set_rollback(False)
            connection.run_on_commit.clear()
        Job.objects.update(created_at=clock.now() + YEAR)
        assert relay.run() == 1
        assert not Job.objects.filter(state="pending").exists()
        Job.objects.all().delete()


def test_a_schedule_whose_last_tick_is_yet_to_come_is_told(hands: Hands) -> None:
    Schedule.objects.create(name="t.each", task="t.each", from_code=True, last_tick=get_broker().now() + YEAR)
    assert findings()["schedule_to_come"].needs_person


@pytest.mark.parametrize("known", KNOWN)
def test_looking_for_what_ended_in_the_future_goes_by_the_index_of_ends(hands: Hands, known: str) -> None:
    def fill() -> None:
        hands.push_all([hands.new_job() for _ in range(200)])
        Job.objects.update(state="completed", ended_at=clock.now())

    with statistics_of_jobs(known, fill):
        Job.objects.filter(pk=hands.push()).update(state="failed", ended_at=clock.now() + YEAR)
        looks = plans_of(rewind.run, "jobs_job", "ended_at")
    assert len(looks) == 2
    for look in looks:
        goes_by("jobs_ended", look)


@pytest.mark.parametrize("waiting", [2_000])
def test_looking_for_jobs_of_the_future_costs_nothing_however_many_wait(hands: Hands, waiting: int) -> None:
    for _ in range(waiting // 1_000):
        hands.push_all([hands.new_job(delay=3_600) for _ in range(1_000)])
    if connection.vendor == "sqlite":
        assert steps_of_rewind() < 500
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        before = rows_read(cursor)
        assert hands.broker.rewind().jobs == 0
        assert rows_read(cursor) - before < 10


def steps_of_rewind() -> int:
    own, steps = get_broker()._database._open(), 0  # type: ignore[attr-defined]

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    own.set_progress_handler(count, 1)
    try:
        assert get_broker().rewind().jobs == 0
    finally:
        own.set_progress_handler(None, 0)
    return steps


def rows_read(cursor: Any) -> int:
    cursor.execute(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'jobs_job'"
    )
    return int(cursor.fetchone()[0])
