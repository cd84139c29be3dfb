"""Whatever a public call is given: what it refuses, it refuses with an error of the engine's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

import jobs
from jobs import Exponential, Fixed, JobHandle, Queue, RateLimit, Retention, RetryLater, Subject

pytestmark = pytest.mark.django_db(transaction=True)

lane = Queue("wrong_lane")


@lane.task(name="wrong.work")
def work(number: int = 1) -> None: ...


WRONG = [
    *(None, -1, 1.5, float("nan"), float("-inf"), 10**400, True, "", "x", "\0", "\ud800", "a" * 500, b"x"),
    *([], [1], {}, (1, 2), object(), timedelta(-1), datetime(2026, 1, 1), Queue, lambda: 1),  # noqa: DTZ001
]


def of_queue(option: str) -> Callable[[Any], object]:
    return lambda value: Queue("wrong_other", **{option: value})


def of_task(option: str) -> Callable[[Any], object]:
    return lambda value: Queue("wrong_third").task(**{option: value})(lambda number=1: None)


def of_job(option: str) -> Callable[[Any], object]:
    return lambda value: work.using(**{option: value})


POLICY = ("attempts", "backoff", "timeout", "priority")
KEEPS = ("keep_completed", "keep_failed", "keep_age", "keep_failed_age")
CALLS: dict[str, Callable[[Any], object]] = {
    "Queue": Queue,
    **{
        f"Queue({name}=)": of_queue(name)
        for name in (*POLICY, *KEEPS, "concurrency", "rate_limit", "global_concurrency", "group_max")
    },
    **{f"@task({name}=)": of_task(name) for name in (*POLICY, "name", "aliases", "personal")},
    **{f"using({name}=)": of_job(name) for name in ("priority", "delay", "at", "key", "expires", "about")},
    "using(front=)": of_job("front"),
    "using(extend=)": of_job("extend"),
    "@task": lane.task,
    "enqueue": work.enqueue,
    "enqueue_many": work.enqueue_many,
    "JobHandle": JobHandle,
    "result": lambda value: JobHandle("0" * 32).result(timeout=value),
    **{name: getattr(jobs, name) for name in ("pause", "resume", "counts", "drain", "dead_letters")},
    **{name: getattr(jobs, name) for name in ("retry", "cancel", "promote", "jobs_about", "erase_jobs")},
    "drain(state)": lambda value: jobs.drain(lane, value),
    "drain(older_than=)": lambda value: jobs.drain(lane, older_than=value),
    "drain(limit=)": lambda value: jobs.drain(lane, limit=value),
    "drain(task=)": lambda value: jobs.drain(lane, task=value),
    "clean(state)": lambda value: jobs.clean(lane, value, timedelta(1)),
    "clean(older_than)": lambda value: jobs.clean(lane, "failed", value),
    "dead_letters(limit=)": lambda value: jobs.dead_letters(lane, limit=value),
    "erase_jobs([value])": lambda value: jobs.erase_jobs([value]),
    "erase_jobs(texts)": lambda value: jobs.erase_jobs([], value),
    "erase_jobs([], [value])": lambda value: jobs.erase_jobs([], [value]),
    "Subject(label)": lambda value: Subject(value, "1"),
    "Subject(id)": lambda value: Subject("a.b", value),
    "receives": lambda value: jobs.receives(value)(lambda **kwargs: None),
    "EventSignal": jobs.EventSignal,
    "RetryLater": RetryLater,
    "Exponential": Exponential,
    "Exponential(factor)": lambda value: Exponential(1, value),
    "Fixed": Fixed,
    "Fixed(jitter=)": lambda value: Fixed(1, jitter=value),
    "RateLimit": RateLimit,
    "RateLimit(per=)": lambda value: RateLimit(1, per=value),
    "Retention": Retention,
    "Retention(age=)": lambda value: Retention(age=value),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_value_is_refused_with_an_error_of_the_engine(call: str) -> None:
    for value in WRONG:
        try:
            CALLS[call](value)
        except jobs.JobsError:
            continue
        except Exception as error:
            raise AssertionError(f"{call}: {value!r:.60}: {type(error).__name__}: {error}") from error
