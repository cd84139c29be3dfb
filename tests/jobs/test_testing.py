"""`jobs.testing`: a user's own tests run jobs without a worker. These tests are the documented examples, too."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from jobs import Cancelled, Fixed, Queue, RateLimit, RetryLater
from jobs.broker import get_broker
from jobs.models import Attempt, Job
from jobs.testing import (
    Drained,
    JobsRunner,
    assert_enqueued,
    assert_nothing_enqueued,
    drain,
    enqueued,
    inline,
    run_jobs,
)

HOURLY = RateLimit(1, per=3_600)
lane = Queue("testing_lane", attempts=3, backoff=Fixed(60), rate_limit=HOURLY, group_rate_limit=HOURLY)


@lane.task(name="testing.greet")
def greet(name: str, count: int = 1) -> str:
    Group.objects.create(name=f"greeted {name} {count}")
    return f"hello {name}"


@lane.task(name="testing.fail")
def fail() -> None:
    raise ValueError("no luck")


@lane.task(name="testing.chain")
def chain(left: int) -> None:
    if left:
        chain.enqueue(left - 1)


@lane.task(name="testing.endless")
def endless() -> None:
    endless.enqueue()


@lane.task(name="testing.put_off")
def put_off() -> None:
    if not Attempt.objects.exists():
        raise RetryLater(30, whole_queue=True)


@lane.task(name="testing.later")
def later() -> None:
    raise RetryLater(30)


@lane.task(name="testing.give_in")
def give_in() -> None:
    raise Cancelled


@lane.task(name="testing.both", atomic=True)
def both(name: str) -> None:
    Group.objects.create(name=name)
    greet.enqueue(name)


@lane.task(name="testing.identify")
def identify(ident: UUID) -> str:
    return str(ident)


class Both:
    """What holds in a TestCase, where nothing commits, and in a TransactionTestCase alike."""

    def test_a_job_runs_and_its_effect_is_seen(self) -> None:
        handle = greet.enqueue("Ada")
        assert run_jobs() == [handle]
        assert (handle.state, handle.result(timeout=0)) == ("completed", "hello Ada")
        assert Group.objects.filter(name="greeted Ada 1").exists()

    def test_rates_of_groups_cost_no_time_and_the_queue_itself_says_which_jobs_run(self) -> None:
        greet.using(group="a").enqueue_many([("Ada",), ("Bob",), ("Cy",)])
        assert drain(lane) == Drained(completed=3)

    def test_what_a_job_enqueues_runs_too_and_rate_limits_cost_no_time(self) -> None:
        chain.enqueue(3)
        assert len(run_jobs()) == 4

    def test_a_failure_waits_for_its_backoff(self) -> None:
        handle = fail.enqueue()
        assert run_jobs() == [handle]
        assert (handle.state, handle.attempt) == ("queued", 1)
        assert run_jobs() == []

    def test_with_the_waiting_left_out_a_failure_becomes_a_dead_letter(self) -> None:
        handle = fail.enqueue()
        assert run_jobs(include_scheduled=True) == [handle] * 3
        assert (handle.state, handle.error) == ("failed", "ValueError: no luck")
        assert Attempt.objects.filter(job_id=handle.id, outcome="failed").count() == 3

    def test_delayed_jobs_run_only_when_asked_for_and_in_the_order_of_their_time(self) -> None:
        late = greet.using(delay=timedelta(days=3)).enqueue("late")
        soon = greet.using(delay=60).enqueue("soon")
        assert run_jobs() == []
        assert run_jobs(until=timedelta(minutes=5)) == [soon]
        assert late.state == "queued"
        assert run_jobs(include_scheduled=True) == [late]

    def test_until_is_an_aware_moment(self) -> None:
        with pytest.raises(ValueError, match="aware datetime"):
            run_jobs(until=datetime(2026, 1, 1))  # noqa: DTZ001

    def test_a_job_that_meets_a_database_error_fails_and_the_test_goes_on(self) -> None:
        Group.objects.create(name="greeted Ada 1")
        handle = greet.enqueue("Ada")
        run_jobs()
        assert handle.job.shown_state() == "retrying"
        assert "IntegrityError" in handle.error
        assert Group.objects.count() == 1

    def test_jobs_that_enqueue_each_other_for_ever_are_an_error(self) -> None:
        endless.enqueue()
        with pytest.raises(AssertionError, match="for ever"):
            run_jobs(limit=5)

    def test_only_the_named_queue_is_worked(self) -> None:
        greet.enqueue("Ada")
        assert run_jobs(queue="email") == []
        assert len(run_jobs(queue="testing_lane")) == 1

    def test_a_paused_queue_stays_paused(self) -> None:
        greet.enqueue("Ada")
        get_broker().pause("testing_lane")
        assert run_jobs(include_scheduled=True) == []
        get_broker().resume("testing_lane")
        assert len(run_jobs()) == 1

    def test_a_queue_told_to_slow_down_goes_on_when_the_waiting_is_left_out(self) -> None:
        handle = put_off.enqueue()
        assert run_jobs() == [handle]
        assert run_jobs() == []
        assert run_jobs(include_scheduled=True) == [handle]
        assert handle.state == "completed"

    def test_of_two_jobs_with_one_key_the_second_is_a_duplicate(self) -> None:
        with transaction.atomic():
            first = greet.using(key="k").enqueue("first")
            second = greet.using(key="k").enqueue("second")
        assert run_jobs() == [first]
        assert (first.state, second.state) == ("completed", "cancelled")

    def test_an_atomic_task_settles_with_its_effects(self) -> None:
        both.enqueue("Ada")
        assert len(run_jobs()) == 2
        assert Group.objects.count() == 2

    def test_drain_counts_how_the_starts_ended(self) -> None:
        handles = [greet.enqueue("Ada"), fail.enqueue(), both.enqueue("Bob")]
        first = drain()
        assert first == Drained(completed=3, retried=1)  # `both` enqueues a greeting
        assert list(first.jobs[:3]) == handles
        put_off.enqueue()
        fail.enqueue()
        assert drain(include_scheduled=True) == Drained(failed=2, retried=3, completed=1)
        assert drain() == Drained()

    def test_drain_counts_what_was_put_off_and_what_gave_in(self) -> None:
        later.enqueue()
        give_in.enqueue()
        assert drain() == Drained(postponed=1, cancelled=1)

    def test_assert_enqueued_compares_the_options_of_using(self) -> None:
        tomorrow = timezone.now() + timedelta(days=1)
        group = Group.objects.create(name="subject")
        given: list[dict[str, Any]] = [
            {"priority": 2},
            {"key": "k"},
            {"delay": timedelta(minutes=2)},
            {"at": tomorrow},
            {"expires": 60},
            {"about": group},
        ]
        handles = [greet.using(**options).enqueue("Ada") for options in given]
        for options, handle in zip(given, handles, strict=True):
            assert assert_enqueued(greet.using(**options), "Ada", times=1) == [handle]
        assert len(assert_enqueued(greet, times=len(given))) == len(given)
        with pytest.raises(AssertionError, match="enqueued 0 times") as failure:
            assert_enqueued(greet.using(key="other", priority=1, delay=5, expires=7, about=("auth.group", "0")))
        lines = str(failure.value).splitlines()
        assert lines[1].startswith("  testing.greet ('Ada') with priority=2, key=None, about=None, delay=0")
        assert "delay=120" in lines[3]

    def test_what_a_transaction_has_enqueued_so_far_counts_and_is_gone_with_it(self) -> None:
        with pytest.raises(KeyError), transaction.atomic():
            greet.using(key="k").enqueue("Ada")
            assert_enqueued(greet.using(key="k"), "Ada")
            raise KeyError
        assert_nothing_enqueued()

    def test_assert_enqueued_compares_arguments_as_the_task_would_get_them(self) -> None:
        handle = greet.enqueue("Ada", count=2)
        assert assert_enqueued(greet) == [handle]
        assert assert_enqueued(greet, "Ada", 2, times=1) == [handle]
        assert assert_enqueued(greet, name="Ada", count=2) == [handle]
        with pytest.raises(AssertionError, match=r"testing.greet was enqueued 0 times with \('Bob'\)"):
            assert_enqueued(greet, "Bob")
        with pytest.raises(AssertionError, match="testing.fail was enqueued 0 times"):
            assert_enqueued(fail)

    def test_assert_nothing_enqueued_names_what_was(self) -> None:
        assert_nothing_enqueued()
        greet.enqueue("Ada")
        with pytest.raises(AssertionError, match=r"testing.greet \('Ada'\)"):
            assert_nothing_enqueued()

    def test_enqueued_lists_jobs_in_order_whether_they_ran_or_not(self) -> None:
        first = greet.enqueue("Ada")
        run_jobs()
        second = fail.enqueue()
        assert enqueued() == [first, second]
        assert enqueued(fail) == [second]

    def test_inline_runs_a_job_before_enqueue_returns(self) -> None:
        with inline():
            assert greet.enqueue("Ada").state == "completed"
        assert greet.enqueue("Bob").state == "queued"

    def test_inline_waits_for_the_transaction_around_it(self) -> None:
        with inline(), transaction.atomic():
            handle = greet.enqueue("Ada")
            assert handle.state == "queued"
        assert handle.state == "completed"

    def test_inline_runs_the_jobs_of_jobs_and_leaves_delayed_ones(self) -> None:
        with inline():
            chain.enqueue(3)
            later = greet.using(delay=60).enqueue("later")
        assert Job.objects.filter(task="testing.chain", state="completed").count() == 4
        assert later.state == "queued"

    @inline()
    def test_inline_is_a_decorator_too(self) -> None:
        assert greet.enqueue("Ada").state == "completed"

    def test_nothing_of_the_runner_stays_behind(self) -> None:
        from jobs.models import Process

        greet.enqueue("Ada")
        run_jobs()
        assert not Process.objects.exists()


class InATestCase(Both, TestCase):
    """A plain TestCase: everything in one transaction that is rolled back, `on_commit` never runs."""

    def test_on_commit_callbacks_can_be_run_as_django_says(self) -> None:
        with inline(), self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            handle = greet.enqueue("Ada")
        assert handle.state == "completed"


class InATransactionTestCase(Both, TransactionTestCase):
    """Every transaction commits, as in production."""

    def test_inline_runs_at_the_commit(self) -> None:
        with inline():
            with transaction.atomic():
                handle = greet.enqueue("Ada")
            assert handle.state == "completed"


def test_the_pytest_fixture_runs_jobs(jobs_runner: JobsRunner) -> None:
    greet.enqueue("Ada")
    jobs_runner.assert_enqueued(greet, "Ada", times=1)
    assert len(jobs_runner.run()) == 1
    assert Group.objects.exists()
