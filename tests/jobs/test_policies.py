"""Policies are checked when they are made, and say what to write instead."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import Exponential, Fixed, Queue, RateLimit, Retention
from jobs.errors import InvalidPolicy, NotSupported


def test_exponential_backoff_doubles_from_its_base() -> None:
    assert [Exponential(2).delay(attempt) for attempt in (1, 2, 3, 4)] == [2, 4, 8, 16]


def test_exponential_backoff_stops_at_its_maximum_however_many_attempts_failed() -> None:
    assert Exponential(2, maximum=60).delay(100_000) == 60


def test_fixed_backoff_waits_the_same_each_time() -> None:
    assert {Fixed(5).delay(attempt) for attempt in range(1, 10)} == {5}


def test_jitter_only_shortens_the_wait_and_by_no_more_than_its_share() -> None:
    waits = [Fixed(10, jitter=0.5).delay(1) for _ in range(200)]
    assert all(5 <= wait <= 10 for wait in waits)
    assert len(set(waits)) > 1


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Exponential(0), "base=0"),
        (lambda: Exponential(2, factor=0.5), "factor=0.5"),
        (lambda: Exponential(float("nan")), "base=nan"),
        (lambda: Fixed(-1), "seconds=-1"),
        (lambda: Fixed(5, jitter=2), "jitter=2"),
        (lambda: RateLimit(0), "limit=0"),
        (lambda: RateLimit(10, per=0), "per=0"),
        (lambda: RateLimit(10, per=1e-7), "per=1e-07: expected seconds, from 0.001 to one year"),
        (lambda: RateLimit(True), "limit=True"),
        (lambda: Retention(completed=-1), "completed=-1"),
        (lambda: Retention(age=timedelta(0)), "age="),
        (lambda: Queue("Email"), "'Email'"),
        (lambda: Queue("e mail"), "'e mail'"),
        (lambda: Queue("x" * 51), "xxx"),
        (lambda: Queue("x", attempts=0), "attempts=0"),
        (lambda: Queue("x", concurrency=0), "concurrency=0"),
        (lambda: Queue("x", priority=11), "priority=11"),
        (lambda: Queue("x", backoff=5), "backoff=5"),  # type: ignore[arg-type]
        (lambda: Queue("x", rate_limit=10), "rate_limit=10"),  # type: ignore[arg-type]
        (lambda: Queue("x", timeout=0), "timeout=0"),
        (lambda: Queue("x", global_concurrency=0), "global_concurrency=0"),
        (lambda: Queue("x", keep_failed="many"), "failed='many'"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_policy_is_refused_and_the_value_is_named(make: object, named: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        make()  # type: ignore[operator]
    assert named in str(refused.value)


def test_hueys_own_constructor_options_are_refused_with_the_remedy() -> None:
    with pytest.raises(NotSupported, match="jobs.testing"):
        Queue("x", immediate=True)


def test_an_option_that_nobody_has_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'colour'"):
        Queue("x", colour="red")
