"""Django's tasks are jobs of the engine, with what it guarantees; on each broker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from jobs import Exponential, InvalidArguments, InvalidOption, JobHandle
from jobs.django_tasks import functions
from jobs.django_tasks.framework import (
    InvalidTask,
    InvalidTaskBackend,
    TaskResultStatus,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)
from jobs.django_tasks.results import class_path
from jobs.models import Job
from jobs.testing import assert_enqueued, enqueued
from tests.django_tasks import tasks

Work = Callable[..., int]
pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    tasks.seen.clear()


def ended(result: Any, work: Work, **options: Any) -> Any:
    work(**options)
    result.refresh()
    return result


@pytest.mark.usefixtures("each_broker")
class TestOnEachBroker:
    def test_a_task_of_a_transaction_commits_with_it_or_never_was(self, work: Work) -> None:
        with transaction.atomic():
            kept = tasks.note.enqueue("kept")
            with pytest.raises(KeyError), transaction.atomic():
                lost = tasks.note.enqueue("lost")
                raise KeyError
        assert ended(kept, work).status == TaskResultStatus.SUCCESSFUL
        assert tasks.seen == ["kept"]
        with pytest.raises(Exception, match=lost.id):
            tasks.note.get_result(lost.id)

    def test_priorities_of_djangos_range_are_the_order_of_starts(self, work: Work) -> None:
        given = [0, -100, 99, 100, -1, 1, 7, -99]
        for priority in given:
            tasks.note.using(priority=priority).enqueue(priority)
        work()
        assert tasks.seen == sorted(given, reverse=True)

    def test_a_task_fails_twice_and_tells_of_each_attempt(self, work: Work) -> None:
        result = tasks.third_time.using(metadata={"a": [1]}).enqueue(["x"])
        ended(result, work, include_scheduled=True)
        assert result.return_value == [3, "RUNNING", 2, {"a": [1]}, {"a": [1]}]
        assert result.attempts == len(result.worker_ids) == 3
        assert "?" not in result.worker_ids
        assert [one.exception_class for one in result.errors] == [tasks.OwnError] * 2
        assert result.errors[0].traceback.endswith("OwnError: attempt 1\n")
        assert result.enqueued_at <= result.started_at < result.last_attempted_at <= result.finished_at

    def test_it_waits_until_run_after(self, work: Work) -> None:
        soon, far = (timezone.now() + timedelta(days=days) for days in (10, 364))
        result = tasks.noop.using(run_after=far).enqueue()
        assert work() == work(until=soon) == 0
        result.refresh()
        assert (result.status, result.task.run_after) == (TaskResultStatus.READY, far)
        tasks.noop.using(run_after=timezone.now() - timedelta(days=1_000)).enqueue()
        assert work() == 1

    def test_a_coroutine_runs_and_its_rows_are_kept(self, work: Work) -> None:
        assert ended(tasks.answer_async.enqueue("Ada"), work).return_value == "Ada"
        assert Group.objects.filter(name="Ada").exists()

    def test_a_task_that_is_active_reads_as_running(self, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        def look() -> int:
            found = tasks.meaning_of_life.get_result(result.id)
            return [found.status, found.attempts, found.started_at is not None, found.finished_at]

        monkeypatch.setattr("jobs.django_tasks.running.normalize_json", lambda value: tasks.seen.append(look()))
        result = tasks.meaning_of_life.enqueue()
        work()
        assert tasks.seen == [[TaskResultStatus.RUNNING, 1, True, None]]

    def test_an_atomic_task_and_what_it_enqueues_are_undone_together(self, work: Work) -> None:
        good, bad = tasks.both.enqueue("good", "commit"), tasks.both.enqueue("bad", "fail")
        work()
        assert [tasks.both.get_result(one.id).status.value for one in (good, bad)] == ["SUCCESSFUL", "FAILED"]
        assert (list(Group.objects.values_list("name", flat=True)), tasks.seen) == (["good"], ["good"])

    def test_a_key_that_is_held_answers_with_the_result_of_its_holder(self, work: Work) -> None:
        first = tasks.note.using(key="one").enqueue(1)
        second = tasks.note.using(key="one").enqueue(2)
        assert (second.id, second.args) == (first.id, [1])
        assert ended(second, work).status == TaskResultStatus.SUCCESSFUL
        assert tasks.seen == [1]

    def test_a_task_that_is_unique_takes_the_last_arguments_where_it_is_told_to(self, work: Work) -> None:
        first = tasks.once.enqueue("a", "first")
        assert tasks.once.using(replace=True, metadata={"n": 2}).enqueue("a", text="last").id == first.id
        assert tasks.once.enqueue(name="b", text="other").id != first.id
        work()
        assert tasks.once.get_result(first.id).metadata == {"n": 2}
        assert sorted(tasks.seen) == [["a", "last"], ["b", "other"]]
        with pytest.raises(InvalidOption, match="give key= too"):
            tasks.note.using(replace=True).enqueue(1)

    def test_a_cancelled_or_expired_task_has_failed_and_says_why(self, work: Work) -> None:
        cancelled = tasks.noop.using(delay=60).enqueue()
        JobHandle(cancelled.id).cancel()
        cancelled.refresh()
        assert cancelled.status == TaskResultStatus.FAILED
        assert "cancelled" in cancelled.errors[-1].traceback
        assert cancelled.errors[-1].exception_class.__name__ == "JobFailed"
        assert work() == 0

    def test_what_comes_back_later_is_ready_and_no_attempt(self, work: Work) -> None:
        result = ended(tasks.later.enqueue(), work, include_scheduled=True)
        assert (result.status, result.attempts) == (TaskResultStatus.SUCCESSFUL, 1)

    def test_a_function_that_is_gone_is_handed_back_until_it_is_there_again(
        self, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = tasks.meaning_of_life.enqueue()
        there = tasks.meaning_of_life
        monkeypatch.delattr(tasks, "meaning_of_life")
        assert work() == 0
        monkeypatch.setattr(tasks, "meaning_of_life", there, raising=False)
        assert ended(result, work, include_scheduled=True).return_value == 42
        assert result.attempts == 1


def test_the_name_of_the_job_is_the_functions_path_and_people_find_it(
    work: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks.about.using(queue_name="queue_1", priority=-40).enqueue(5, "high", delay=2)
    job = Job.objects.get()
    assert (job.task, job.queue, job.priority) == ("tests.django_tasks.tasks.about", "queue_1", 7)
    assert (job.args, job.kwargs) == ([5, "high"], {"delay": 2})
    work()
    job.refresh_from_db()
    assert job.result == '[5,"high",2]'
    call_command("jobs", "enqueue", "tests.django_tasks.tasks.about", "--args", "[6]")
    assert Job.objects.latest("created_at").queue == "default"
    call_command("jobs", "list", "--task", "tests.django_tasks.tasks.about")
    assert capsys.readouterr().out.count("tests.django_tasks.tasks.about") >= 2


def test_arguments_that_do_not_fit_the_function_are_refused_at_once() -> None:
    with pytest.raises(InvalidArguments, match="missing a required argument"):
        tasks.note.enqueue()
    with pytest.raises(InvalidArguments, match="context"):
        tasks.own_id.enqueue(context=1)
    with pytest.raises(InvalidArguments, match="64 KiB|65,536"):
        tasks.note.enqueue("x" * 70_000)
    assert not Job.objects.exists()


def test_functions_that_no_worker_would_find_are_refused() -> None:
    with pytest.raises(InvalidTask, match="there is another thing"):
        tasks.task(tasks.ask).enqueue(1, 2)
    elsewhere = {"default": {**tasks.TASKS["default"], "OPTIONS": {}}}
    with override_settings(TASKS=elsewhere), pytest.raises(InvalidTask, match="stands in no installed app"):
        tasks.noop.enqueue()


@pytest.mark.parametrize(
    "name",
    ["os.path.join", "antigravity.fly", "tests.django_tasks.tasks", "tests.django_tasks.nothing.f", "x", "..", ""],
)
def test_a_name_makes_a_worker_import_nothing_but_the_projects_functions(name: str) -> None:
    import sys

    assert functions.find(name, None) is None
    assert "antigravity" not in sys.modules


def test_a_function_decides_of_its_backoff_and_may_give_up(work: Work) -> None:
    twice = ended(tasks.asks.enqueue("once more"), work, include_scheduled=True)
    assert twice.attempts == 3
    first = (ValueError, 1, ValueError, TaskResultStatus.READY)
    assert tasks.seen == [first, (ValueError, 2, ValueError, TaskResultStatus.READY)]
    assert ended(tasks.asks.enqueue("give up"), work).attempts == 1


def test_a_backoff_that_fails_is_no_harm(work: Work) -> None:
    assert ended(tasks.asks_in_vain.enqueue(), work, include_scheduled=True).attempts == 2


def test_djangos_coming_names_are_the_engines_policy(work: Work) -> None:
    result = tasks.patient.enqueue()
    work()
    job = Job.objects.get()
    assert 50 < (job.ready_at - timezone.now()).total_seconds() <= 60
    assert 25 < tasks.seen[0] <= 30
    assert ended(result, work, include_scheduled=True).attempts == 5


def test_options_of_the_backend_count_where_the_task_says_nothing(work: Work) -> None:
    options = {"modules": ["tests.django_tasks"], "max_attempts": 2, "backoff": Exponential(100)}
    with override_settings(TASKS={"default": {**tasks.TASKS["default"], "OPTIONS": options}}):
        result = ended(tasks.third_time.enqueue([]), work, include_scheduled=True)
        assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 2)
        assert ended(tasks.fail.enqueue(), work).attempts == 1
    assert ended(tasks.third_time.enqueue([]), work, include_scheduled=True).attempts == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attempts": 3}, "unknown option 'attempts'; options are: max_attempts"),
        ({"max_attempts": 0}, "max_attempts=0: expected a whole number"),
        ({"backoff": "soon"}, "backoff='soon': expected seconds"),
        ({"backoff": -1}, "expected seconds between"),
        ({"timeout": 0}, "timeout=0"),
        ({"modules": "shop"}, "expected a list"),
    ],
)
def test_wrong_options_of_the_backend_are_named(options: dict[str, Any], said: str) -> None:
    backend = {"BACKEND": "jobs.django_tasks.Backend", "OPTIONS": options}
    with override_settings(TASKS={"default": backend}), pytest.raises(InvalidTaskBackend, match=said):
        _ = task_backends["default"]


def test_wrong_options_of_a_task_are_named() -> None:
    with pytest.raises(InvalidTask, match="max_attempts=0"):
        tasks.task(max_attempts=0)(tasks.noop.func)
    with pytest.raises(InvalidTask, match="several names"):
        tasks.task(personal="phone")(tasks.noop.func)
    for option in ("max_attempts", "atomic"):
        with pytest.raises(InvalidOption, match=rf"write @task\({option}="):
            tasks.noop.using(**{option: 1})
    with pytest.raises(InvalidOption, match="write run_after="):
        tasks.noop.using(at=timezone.now())
    with pytest.raises(TypeError, match="unexpected option 'colour'; beside Django's own: .*delay"):
        tasks.noop.using(colour="red")
    with pytest.raises(InvalidOption, match="give one"):
        tasks.noop.using(run_after=timezone.now(), delay=5)


def test_a_queue_that_the_project_has_not_fails_the_check() -> None:
    backend = {"BACKEND": "jobs.django_tasks.Backend", "QUEUES": ["email", "nowhere"]}
    with override_settings(TASKS={"default": backend}):
        (found,) = task_backends["default"].check()
    assert found.id == "jobs.E020"
    assert "'nowhere', but queues are: email, lead, notification" in found.msg


def test_djangos_signals_are_sent_and_their_receivers_do_no_harm(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[str, str, int]] = []

    def listen(name: str) -> Callable[..., None]:
        def receiver(sender: type, task_result: Any, **kwargs: Any) -> None:
            assert sender is type(task_backends["default"])
            told.append((name, task_result.status.value, task_result.attempts))
            if name != "enqueued":
                raise RuntimeError("a receiver's own trouble")

        return receiver

    receivers = [listen("enqueued"), listen("started"), listen("finished")]
    signals = [task_enqueued, task_started, task_finished]
    for signal, receiver in zip(signals, receivers, strict=True):
        signal.connect(receiver)
    try:
        good, bad = tasks.third_time.enqueue([]), tasks.give_in.enqueue()
        work(include_scheduled=True)
    finally:
        for signal, receiver in zip(signals, receivers, strict=True):
            signal.disconnect(receiver)
    assert [tasks.noop.get_backend().get_result(one.id).status.value for one in (good, bad)] == ["SUCCESSFUL", "FAILED"]
    assert sorted(told) == sorted(
        [
            *[("enqueued", "READY", 0)] * 2,
            *[("started", "RUNNING", number) for number in (1, 1, 2, 3)],
            ("finished", "SUCCESSFUL", 3),
            ("finished", "FAILED", 1),
        ]
    )


def test_personal_arguments_are_masked_in_errors_and_in_djangos_log(
    work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        result = ended(tasks.call.enqueue("+55 11 91234-5678"), work)
    assert "***" in result.errors[0].traceback
    assert "91234" not in result.errors[0].traceback + caplog.text


@pytest.mark.parametrize(
    ("error", "trace", "path"),
    [
        ("ValueError: x", "Traceback (most recent call last):\n  File\nValueError: x\n", "builtins.ValueError"),
        (
            "Inner: a",
            "Traceback (most recent call last):\n  F\nshop.errors.Outer.Inner: a\nb\n",
            "shop.errors.Outer.Inner",
        ),
        ("E", "x.E\n\nThe above\n\nTraceback (most recent call last):\n  F\ny.E\n", "y.E"),
        ("ExceptionGroup: g (1 sub-exception)", "  | ExceptionGroup: g (1 sub-exception)\n", "builtins.ExceptionGroup"),
        ("killed its worker: lost 3 times", "", "jobs.errors.JobFailed"),
        ("", "", "jobs.errors.JobFailed"),
    ],
)
def test_the_class_of_an_error_is_read_from_its_traceback(error: str, trace: str, path: str) -> None:
    assert class_path(error, trace) == path


def test_the_error_is_the_one_that_left_the_function_not_its_cause(work: Work) -> None:
    result = ended(tasks.fail_of_inner.enqueue(), work)
    # as Django's own backends write it; `exception_class` finds no class within a class
    assert result.errors[0].exception_class_path == "tests.django_tasks.tasks.OwnError.Inner"
    assert "KeyError: 'the cause'" in result.errors[0].traceback


def test_a_result_says_so_where_its_value_was_not_kept(work: Work) -> None:
    from jobs import reasons

    result = tasks.meaning_of_life.enqueue()
    work()
    Job.objects.update(error=reasons.NOT_KEPT, result=None)
    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL
    with pytest.raises(ValueError, match="not kept"):
        _ = result.return_value


def test_an_edit_keeps_what_django_knows_of_the_call(work: Work) -> None:
    after = timezone.now() + timedelta(days=1)
    result = tasks.note.using(run_after=after, metadata={"a": "é"}).enqueue("old")
    JobHandle(result.id).edit(what="new")
    found = tasks.note.get_result(result.id)
    assert (found.args, found.metadata, found.task.run_after) == (["new"], {"a": "é"}, after)


def test_a_test_of_a_project_asks_for_django_s_tasks_too(work: Work) -> None:
    tasks.note.using(key="k", metadata={"a": 1}).enqueue(1)
    (job,) = assert_enqueued(tasks.note, 1, times=1)
    assert assert_enqueued(tasks.note.using(key="k")) == enqueued(tasks.note) == [job]
    with pytest.raises(AssertionError, match=r"tasks.note \(1\) with key='k'"):
        assert_enqueued(tasks.note.using(key="other"))
