"""Thousands of failures read as one line, the same on every broker."""

from datetime import timedelta

import pytest

from jobs import UnknownCause, clock, dead_letters_by_cause
from jobs.broker import get_broker
from jobs.broker.contract import LOSS_RULES
from jobs.broker.records import ProcessRecord
from jobs.fingerprint import cause_of
from jobs.history import causes, live
from jobs.history.mended import since_last
from jobs.keep import causes as duty
from jobs.models import Cause, Job, Release
from tests.dead.conftest import dead, fail, fail_for, lane

OLD = "d" * 16


def test_failures_of_one_kind_are_one_line_with_release_and_trend(each_broker, work, settings):
    settings.JOBS = {**settings.JOBS, "RELEASE": "r1"}
    for number in range(5):
        fail.enqueue(f"lead {number} is gone")
    fail.enqueue("another thing")
    work()
    one, other = sorted(dead_letters_by_cause(lane), key=lambda each: -each.count)
    assert (one.count, other.count) == (5, 1)
    assert (one.task, one.queue, one.first_release, one.last_release) == ("dead.fail", lane.name, "r1", "r1")
    assert one.error.startswith("Strange: lead ")
    assert one.first_at <= one.last_at <= clock.now()
    assert (sum(one.hours), len(one.hours)) == (5, 24)


def test_every_broker_gives_the_same_cause_and_so_does_the_keeper(each_broker, work):
    fail.enqueue("lead 7 is gone\0")
    work()
    told = Job.objects.get().cause
    Job.objects.update(cause="")
    duty.find_out()
    trace = f'  File "{__file__.replace("test_by_cause", "conftest")}", line 1, in fail\n'
    assert Job.objects.get().cause == told == cause_of("dead.fail", "Strange: lead 9 is gone\0", trace)


def test_a_task_that_completed_or_waits_has_no_cause(each_broker, work):
    fail.enqueue(broken=False)
    fail.using(delay=60).enqueue()
    work()
    assert dead_letters_by_cause() == []
    assert {*Job.objects.values_list("cause", flat=True)} <= {""}


def test_what_killed_its_worker_is_grouped_too(each_broker):
    handle = fail.enqueue()
    broker = get_broker()
    for _life in range(LOSS_RULES.dead_after):
        worker = ProcessRecord(clock.new_id(), "worker", lane.name, "here", 1, 1)
        broker.register(worker, 600)
        alone = bool(broker.waits_alone([lane.name]))
        assert broker.exchange(worker.id, lane.policy, [], 1, number=1, alone=alone).jobs
        broker.release(worker, lost=True)
    live.hear()
    duty.run()
    (one,) = dead_letters_by_cause(lane)
    assert (one.count, one.newest) == (1, handle.id)
    assert one.error.startswith("killed its worker")


def test_a_failure_of_the_next_run_may_have_another_cause(each_broker, work):
    from jobs import retry

    handle = fail.enqueue("lead 1 is gone")
    work()
    (before,) = dead_letters_by_cause()
    retry(handle.id, arguments={"text": "the server is away"})
    assert dead_letters_by_cause() == []
    work()
    (after,) = dead_letters_by_cause()
    assert after.id != before.id


def test_personal_arguments_are_in_no_cause(each_broker, work):
    for order, address in enumerate(("ada@example.org", "Grace Hopper")):
        fail_for.enqueue(address, order)
    work()
    found = dead_letters_by_cause()
    assert sum(one.count for one in found) == 2
    assert not any("ada@" in str(one) or "Grace" in str(one) for one in found)


def test_an_unknown_cause_is_a_clear_error(each_broker):
    for wrong in ("", "nonsense", "f" * 16, "'; DROP"):
        with pytest.raises(UnknownCause, match="jobs dead"):
            causes.check(wrong)


def test_the_release_in_which_a_cause_was_first_seen_outlives_its_dead_letters(each_database):
    dead(1, timedelta(hours=2), release="r1")
    duty.run()
    Job.objects.all().delete()
    dead(3, release="r3")
    (one,) = dead_letters_by_cause()
    assert (one.first_release, one.last_release, one.count) == ("r1", "r3", 3)


def test_a_cause_that_nobody_has_any_more_is_forgotten(each_database):
    long_ago = clock.now() - timedelta(days=100)
    Cause.objects.create(id=OLD, task="x", first_at=long_ago, seen_at=long_ago)
    Cause.objects.create(id="c" * 16, task="dead.fail", first_at=long_ago, seen_at=long_ago)
    dead(1)
    duty.run()
    assert list(Cause.objects.values_list("pk", flat=True)) == ["c" * 16]


class TestMended:
    """What is said of a cause after its last dead letter."""

    def completed(self, number, age=timedelta(seconds=5), **fields):
        return dead(number, age, **{"state": "completed", "cause": "", **fields})

    def test_what_succeeded_since_is_counted(self, each_database):
        dead(2, timedelta(hours=1))
        self.completed(40)
        self.completed(3, timedelta(hours=2))
        self.completed(2, task="dead.masked")
        (one,) = dead_letters_by_cause()
        since = since_last(one)
        assert (since.succeeded, since.at_least, since.seems_mended) == (40, False, True)
        assert since.text == "seems mended: 40 succeeded since the last failure"

    def test_it_counts_from_the_release_that_came_since(self, each_database):
        dead(2, timedelta(hours=3), release="r1")
        Release.objects.create(name="r2", since=clock.now() - timedelta(hours=1))
        self.completed(7, timedelta(hours=2))
        self.completed(5)
        (one,) = dead_letters_by_cause()
        assert since_last(one).text == "5 succeeded since release r2"

    def test_what_retention_may_have_cut_is_said(self, each_database, monkeypatch):
        dead(1, timedelta(hours=1))
        self.completed(12)
        (one,) = dead_letters_by_cause()
        assert since_last(one, most=11).text == "seems mended: 11+ succeeded since the last failure"
        kept = type("Queue", (), {"policy": type("P", (), {"retention": type("R", (), {"completed": 0})})})
        monkeypatch.setattr("jobs.history.mended.queues", lambda: {lane.name: kept})
        assert since_last(one).unknown
        assert not since_last(one).seems_mended


def test_a_keeper_notes_since_when_its_release_runs(each_database, settings):
    settings.JOBS = {**settings.JOBS, "RELEASE": "2026.11"}
    duty.run()
    since = Release.objects.get(name="2026.11").since
    duty._noted.clear()
    duty.run()
    assert Release.objects.get().since == since
