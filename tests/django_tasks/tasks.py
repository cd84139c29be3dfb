"""Functions of `@task`, under the backend of ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.test import override_settings

from jobs import Fixed, PermanentError, Queue, RetryLater, current_job
from jobs.django_tasks.framework import TaskContext, task_backends

lane = Queue("default", attempts=3, backoff=Fixed(0))
other = Queue("queue_1", attempts=1)
TASKS = {
    "default": {
        "BACKEND": "jobs.django_tasks.Backend",
        "QUEUES": ["default", "queue_1"],
        "OPTIONS": {"modules": ["tests.django_tasks"]},
    },
    "dummy": {"BACKEND": "jobs.django_tasks.DummyBackend", "QUEUES": []},
    "immediate": {"BACKEND": "jobs.django_tasks.ImmediateBackend", "QUEUES": []},
    "missing": {"BACKEND": "does.not.exist"},
}

try:
    from django.tasks import task
except ImportError:
    from django_tasks import task

#: What functions did, for tests that look at it.
seen: list[Any] = []


class OwnError(Exception):
    class Inner(Exception):
        pass


def ask(error: BaseException, result: Any) -> float | timedelta | None:
    seen.append((type(error), result.attempts, result.errors[-1].exception_class, result.status))
    return None if str(error) == "give up" else timedelta(seconds=0)


def broken_backoff(error: BaseException, result: Any) -> float:
    raise RuntimeError("no answer")


# Django asks the backend for its class of tasks at the decorator
with override_settings(TASKS=TASKS):

    @task()
    def noop(*args: Any, **kwargs: Any) -> None:
        return None

    @task
    def noop_bare(*args: Any, **kwargs: Any) -> None:
        return None

    @task()
    async def noop_async(*args: Any, **kwargs: Any) -> None:
        return None

    @task()
    async def answer_async(name: str) -> str:
        found = await Group.objects.acreate(name=name)
        return found.name

    @task()
    def meaning_of_life() -> int:
        return 42

    @task(max_attempts=1)
    def fail(text: str = "failed due to ValueError") -> None:
        raise ValueError(text)

    @task(max_attempts=1)
    def leave() -> None:
        raise SystemExit("failed due to SystemExit")

    @task(max_attempts=1)
    def fail_of_inner() -> None:
        try:
            raise KeyError("the cause")
        except KeyError as error:
            raise OwnError.Inner("two\nlines: of text") from error

    @task(max_attempts=1)
    def nested_error() -> None:
        raise ValueError(ValueError("This task failed"))

    @task()
    def not_json() -> Any:
        return lambda: True

    @task()
    def echo(*args: Any, **kwargs: Any) -> Any:
        return [args, kwargs]

    @task()
    def note(what: Any) -> None:
        seen.append(what)

    @task()
    def about(id: int, priority: str = "", *, delay: int = 0) -> list[Any]:
        return [id, priority, delay]

    @task(takes_context=True)
    def own_id(context: TaskContext) -> str:
        return context.task_result.id

    @task(takes_context=True)
    def third_time(context: TaskContext, expected: list[str]) -> list[Any]:
        result = context.task_result
        told = [context.attempt, result.status.value, len(result.errors), result.metadata, dict(context.metadata)]
        if context.attempt < 3:
            raise OwnError(f"attempt {context.attempt}")
        return told

    @task(backoff=ask)
    def asks(text: str) -> None:
        raise ValueError(text)

    @task(max_attempts=2, backoff=broken_backoff)
    def asks_in_vain() -> None:
        raise ValueError("failed")

    @task(max_attempts=5, backoff=timedelta(minutes=1), timeout=30)
    def patient() -> float:
        seen.append(current_job().time_remaining)
        raise ValueError("once more")

    @task()
    def later() -> None:
        if not seen:
            seen.append("asked")
            raise RetryLater(0)

    @task()
    def give_in() -> None:
        raise PermanentError("cannot work")

    @task(unique=["name"])
    def once(name: str, text: str) -> None:
        seen.append([name, text])

    @task(atomic=True)
    def both(name: str, then: str) -> str:
        Group.objects.create(name=name)
        if then == "fail":
            raise PermanentError("undone")
        note.enqueue(name)
        return name

    @task(personal=["phone"], max_attempts=1)
    def call(phone: str) -> None:
        raise ValueError(f"nobody at {phone}")

    renamed = task(noop.func)  # another name than its function's: no worker would find it


assert task_backends
