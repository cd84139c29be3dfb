"""What Django's own tests ask of its backends, asked of ours (github.com/django/django, tests/tasks)."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings
from django.utils import timezone
from django.utils.module_loading import import_string

from jobs.django_tasks import Backend, DummyBackend, ImmediateBackend
from jobs.django_tasks.framework import (
    FrameworkTask,
    InvalidTask,
    InvalidTaskBackend,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
)
from tests.django_tasks import tasks

pytestmark = pytest.mark.django_db(transaction=True)
Work = Callable[..., int]
logger_name = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"


def ended(result: Any, work: Work) -> Any:
    assert work() >= 1
    result.refresh()
    return result


def test_the_backend_is_ours_and_can_everything() -> None:
    backend = task_backends["default"]
    assert isinstance(backend, Backend)
    assert backend.alias == "default"
    flags = ("defer", "async_task", "get_result", "priority")
    assert all(getattr(backend, f"supports_{flag}") for flag in flags)
    assert isinstance(tasks.noop.get_backend(), Backend)
    assert isinstance(tasks.noop.using(backend="immediate").get_backend(), ImmediateBackend)


def test_what_the_decorator_makes_is_a_task_of_the_framework() -> None:
    for made in (tasks.noop, tasks.noop_bare, tasks.noop_async):
        assert isinstance(made, FrameworkTask)
    assert tasks.noop.name == "noop"
    assert tasks.noop_async.module_path == "tests.django_tasks.tasks.noop_async"
    assert import_string(tasks.noop_async.module_path) is tasks.noop_async


@pytest.mark.parametrize("task", [tasks.noop, tasks.noop_async], ids=lambda task: task.name)
def test_enqueue_answers_a_result_that_tells_how_it_goes_on(task: Any, work: Work) -> None:
    result = task.enqueue(1, two=3)
    assert result.status == TaskResultStatus.READY
    assert not result.is_finished
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    assert (result.task, result.args, result.kwargs, result.attempts) == (task, [1], {"two": 3}, 0)
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value
    ended(result, work)
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert result.is_finished
    # the store's clock tells some of them, the worker's the others
    times = (result.enqueued_at, result.started_at, result.last_attempted_at, result.finished_at)
    assert all(one <= two + timedelta(seconds=1) for one, two in zip(times, times[1:], strict=False))
    assert result.return_value is None
    assert (result.task, result.args, result.kwargs, result.attempts) == (task, [1], {"two": 3}, 1)


def test_aenqueue_and_aget_result_do_the_same(work: Work) -> None:
    async def there_and_back() -> Any:
        result = await tasks.meaning_of_life.aenqueue()
        return await tasks.meaning_of_life.aget_result(result.id)

    found = async_to_sync(there_and_back)()
    assert found.status == TaskResultStatus.READY
    assert work() == 1
    async_to_sync(found.arefresh)()
    assert found.return_value == 42


@pytest.mark.parametrize(
    ("task", "exception", "said"),
    [(tasks.fail, ValueError, "failed due to ValueError"), (tasks.leave, SystemExit, "failed due to SystemExit")],
    ids=["ValueError", "SystemExit"],
)
def test_an_exception_is_an_error_of_the_result_and_is_logged(
    task: Any, exception: type, said: str, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    result = ended(task.enqueue(), work)
    assert result.status == TaskResultStatus.FAILED
    assert result.is_finished
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value
    assert result.enqueued_at <= result.started_at <= result.finished_at
    (error,) = result.errors
    assert error.exception_class is exception
    assert error.traceback.endswith(f"{exception.__name__}: {said}\n")
    (line,) = [one for one in caplog.records if one.name == logger_name and one.levelno == logging.ERROR]
    assert f"id={result.id}" in line.getMessage()
    assert "state=FAILED" in line.getMessage()
    assert line.exc_info is not None
    assert line.exc_info[0] is exception


def test_an_exception_that_no_pickle_holds_is_told_all_the_same(work: Work) -> None:
    result = ended(tasks.nested_error.enqueue(), work)
    assert result.errors[0].exception_class is ValueError
    assert "ValueError: This task failed" in result.errors[0].traceback


def test_what_cannot_be_json_is_no_return_value(work: Work) -> None:
    result = ended(tasks.not_json.enqueue(), work)
    assert result.status == TaskResultStatus.FAILED
    assert issubclass(result.errors[0].exception_class, TypeError)
    assert "Unsupported type" in result.errors[0].traceback
    assert result.attempts == 1  # what it did, it has done: it is not tried again


def test_the_logs_tell_enqueued_running_and_the_end(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger_name):
        result = tasks.noop.enqueue()
        work()
    lines = [one.getMessage() for one in caplog.records if one.name == logger_name]
    assert len(lines) == 3
    assert all(result.id in line for line in lines)
    for line, word in zip(lines, ("enqueued", "state=RUNNING", "state=SUCCESSFUL"), strict=True):
        assert word in line


@pytest.mark.parametrize("value", [timezone.now(), object()], ids=["datetime", "object"])
def test_arguments_that_json_has_not_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="Unsupported type"):
        tasks.noop.enqueue(value)
    with pytest.raises(TypeError, match="Unsupported type"):
        async_to_sync(tasks.noop.aenqueue)(value)


def test_arguments_are_made_json_as_django_does(work: Work) -> None:
    result = tasks.echo.enqueue((1, 2), b"bytes", key={"nested": ("a",)})
    assert (result.args, result.kwargs) == ([[1, 2], "bytes"], {"key": {"nested": ["a"]}})
    assert ended(result, work).return_value == [[[1, 2], "bytes"], {"key": {"nested": ["a"]}}]


def test_using_makes_another_task_and_chains() -> None:
    now = timezone.now()
    again = tasks.noop.using()
    assert again == tasks.noop
    assert again is not tasks.noop
    changed = tasks.noop.using(run_after=now).using(priority=10).using(queue_name="queue_1")
    assert (changed.run_after, changed.priority, changed.queue_name) == (now, 10, "queue_1")
    assert (tasks.noop.run_after, tasks.noop.priority, tasks.noop.queue_name) == (None, 0, "default")


def test_a_backend_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidTaskBackend, match="The connection 'unknown' doesn't exist"):
        tasks.noop.using(backend="unknown")
    with pytest.raises(InvalidTaskBackend, match="Could not find backend 'does.not.exist'"):
        tasks.noop.using(backend="missing")
    with override_settings(TASKS={}), pytest.raises(InvalidTaskBackend):
        tasks.noop.enqueue()


def test_wrong_values_of_using_are_refused() -> None:
    with pytest.raises(InvalidTask, match="run_after must be an aware datetime"):
        tasks.noop.using(run_after=timezone.now().replace(tzinfo=None))
    with pytest.raises(InvalidTask, match="at most one year ahead"):
        tasks.noop.using(run_after=timezone.now() + timedelta(days=400))
    for priority in (-101, 101, 3.1):
        with pytest.raises(InvalidTask, match="priority must be a whole number between -100 and 100"):
            tasks.noop.using(priority=priority)
    for priority in (-100, 0, 100):
        tasks.noop.using(priority=priority)
    with pytest.raises(InvalidTask, match="Queue 'queue-2' is not valid for backend"):
        tasks.noop.using(queue_name="queue-2")
    assert tasks.noop.using(queue_name="queue-2", backend="immediate").queue_name == "queue-2"


def test_a_queue_is_looked_at_again_when_the_task_is_enqueued() -> None:
    there = tasks.noop.using(queue_name="queue_1")
    narrowed = {"default": {**tasks.TASKS["default"], "QUEUES": ["default"]}}
    with override_settings(TASKS=narrowed):
        with pytest.raises(InvalidTask, match="Queue 'queue_1' is not valid for backend"):
            there.enqueue()
        with pytest.raises(InvalidTask, match="Queue 'queue_1' is not valid for backend"):
            async_to_sync(there.aenqueue)()


def test_functions_that_stand_in_no_module_or_take_no_context_are_refused() -> None:
    def local() -> None: ...

    for invalid in (any, local):
        with pytest.raises(InvalidTask, match="must be defined at a module level"):
            tasks.task()(invalid)
    with pytest.raises(InvalidTask, match="does not have a first argument of 'context'"):
        tasks.task(takes_context=True)(tasks.meaning_of_life.func)


def test_call_and_acall_run_the_function_here() -> None:
    assert tasks.meaning_of_life.call() == 42
    assert async_to_sync(tasks.meaning_of_life.acall)() == 42
    assert tasks.noop_async.call() is None
    assert async_to_sync(tasks.noop_async.acall)() is None


def test_get_result_finds_what_enqueue_answered() -> None:
    result = tasks.noop.using(priority=7, metadata={"trace": 1}).enqueue()
    result.refresh()
    found = tasks.noop.get_result(result.id)
    assert found == result
    assert found.task.priority == 7
    before = dataclasses.asdict(found)
    found.refresh()
    assert dataclasses.asdict(found) == before


def test_a_result_that_is_not_there_or_of_another_task_is_refused() -> None:
    for missing in ("123", "0199aa00-0000-7000-8000-000000000000"):
        with pytest.raises(TaskResultDoesNotExist):
            tasks.noop.get_result(missing)
        with pytest.raises(TaskResultDoesNotExist):
            async_to_sync(tasks.noop.aget_result)(missing)
    result = tasks.noop_async.enqueue()
    with pytest.raises(Exception, match="Task does not match"):
        tasks.noop.get_result(result.id)
    with pytest.raises(Exception, match="Task does not match"):
        async_to_sync(tasks.noop.aget_result)(result.id)


def test_the_context_names_the_result(work: Work) -> None:
    result = ended(tasks.own_id.enqueue(), work)
    assert result.return_value == result.id


def test_an_error_of_the_result_that_names_no_exception_says_so(work: Work) -> None:
    result = ended(tasks.fail.enqueue(), work)
    object.__setattr__(result.errors[0], "exception_class_path", "subprocess.run")
    with pytest.raises(ValueError, match="does not reference a valid exception"):
        _ = result.errors[0].exception_class


def test_metadata_is_checked_kept_and_hidden_where_it_is_reserved(work: Work) -> None:
    task = tasks.own_id.using(metadata={"trace": 1, "tags": ("a",), "_own": 2})
    assert hash(task) == hash(tasks.own_id)
    assert task != tasks.own_id
    assert tasks.own_id.metadata == {}
    assert task.using(priority=1).metadata == {"trace": 1, "tags": ["a"], "_own": 2}
    assert task.using(metadata={}).metadata == {}
    result = ended(task.enqueue(), work)
    assert result.metadata == {"trace": 1, "tags": ["a"]}
    assert result.raw_metadata == {"trace": 1, "tags": ["a"], "_own": 2}
    result.metadata["trace"] = 4
    assert result.metadata["trace"] == 1
    for wrong in ([("a", 1)], {1: "a"}, {"a": object()}, {"a": "x" * 10_000}, {"a": float("nan")}):
        with pytest.raises(InvalidTask, match="metadata"):
            tasks.noop.using(metadata=wrong)


def test_twins_take_our_options_and_need_no_broker() -> None:
    dummy = tasks.echo.using(backend="dummy", key="k", delay=5)
    backend = task_backends["dummy"]
    assert isinstance(backend, DummyBackend)
    result = dummy.enqueue(1)
    assert backend.results == [result]
    assert tasks.echo.using(backend="immediate", key="k").enqueue(1).return_value == [[1], {}]


def test_a_message_is_json_of_the_call_and_of_nothing_that_was_not_given() -> None:
    from jobs.models import Job

    tasks.echo.enqueue(1, two=3)
    (message,) = Job.objects.values_list("message", flat=True)
    assert json.loads(message) == {"v": 1, "args": [1], "kwargs": {"two": 3}}


if django.VERSION >= (6, 1):

    def test_a_task_can_be_pickled() -> None:
        task = tasks.noop.using(priority=3, metadata={"a": 1}, key="k")
        again = pickle.loads(pickle.dumps(task))
        assert again == task
        assert again.options == task.options
