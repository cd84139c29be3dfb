"""A backoff of the project's own: a function of (exception, attempt)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from jobs import GIVE_UP, Exponential, Fixed, Queue
from jobs.broker.records import Failed, Retried, Settlement
from jobs.errors import InvalidPolicy
from jobs.testing import run_jobs

pytestmark = pytest.mark.django_db(transaction=True)
Work = Callable[..., list[Settlement]]


def delays(queue: Queue, work: Work) -> list[float | type]:
    done = [one.outcome for one in work(queue)]
    return [one.delay if isinstance(one, Retried) else type(one) for one in done]


def test_the_function_sees_error_and_attempt_and_says_how_long_to_wait_or_to_give_up(work: Work) -> None:
    seen: list[tuple[str, int]] = []

    def wait(error: Exception, attempt: int) -> Any:
        seen.append((str(error), attempt))
        return [0, timedelta(0), GIVE_UP][attempt - 1]

    queue = Queue("test_lane", attempts=9, backoff=wait)

    @queue.task()
    def broken() -> None:
        raise ValueError("no luck")

    handle = broken.enqueue()
    assert delays(queue, work) == [0, 0, Failed]
    assert seen == [("no luck", 1), ("no luck", 2), ("no luck", 3)]
    assert (handle.state, handle.attempt) == ("failed", 3)


@pytest.mark.parametrize("answer", [None, -1, float("nan"), float("inf"), "3", True, 10**12, ZeroDivisionError])
def test_one_that_has_nothing_to_say_or_fails_leaves_it_to_the_queues_policy(
    answer: Any, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    def wait(error: Exception, attempt: int) -> Any:
        if answer is ZeroDivisionError:
            return 1 / 0
        return answer

    queue = Queue("test_lane", attempts=2, backoff=Fixed(7))

    @queue.task(backoff=wait)
    def broken() -> None:
        raise ValueError

    handle = broken.enqueue()
    assert delays(queue, work) == [7]
    assert (handle.shown_state, "backoff_failed" in caplog.text) == ("retrying", answer is not None)
    run_jobs(include_scheduled=True)
    assert handle.state == "failed"


@pytest.mark.parametrize("wrong", [int, print, partial(max, 1), lambda error: 1, lambda: 1, "2", 3])
def test_anything_but_a_plain_function_of_two_is_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(InvalidPolicy, match="backoff="):
        Queue("test_lane", backoff=wrong)
    with pytest.raises(InvalidPolicy, match="backoff="):
        Queue("test_lane").task(backoff=wrong)(lambda: None)

    async def later(error: Exception, attempt: int) -> float:
        return 1

    with pytest.raises(InvalidPolicy, match="backoff="):
        Queue("test_lane", backoff=later)


def test_a_queue_with_a_function_waits_as_by_default_where_it_says_nothing() -> None:
    queue = Queue("test_lane", backoff=lambda error, attempt: None)
    assert queue.policy.backoff.delay(3) == Exponential(2).delay(3)
    task = queue.task(backoff=lambda error, attempt: None)(lambda: None)
    assert task.policy.backoff.delay(3) == Exponential(2).delay(3)
