"""The job that is waited for gives way, comes again or is removed: who waits for it is never left behind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import Fixed, PermanentError, Queue, clean, discard, retry
from jobs.states import State

from .conftest import Flow

lane = Queue("flow_gone", attempts=1, backoff=Fixed(0), keep_completed=0, keep_failed=0)
other = Queue("flow_stays", attempts=1, backoff=Fixed(0), keep_completed=100)
broken: set[str] = set()


@lane.task(name="flow.goes")
def goes(text: str = "") -> str:
    if text in broken:
        raise PermanentError(f"{text} is broken")
    return text


@other.task(name="flow.stays")
def stays() -> str:
    return "stayed"


@pytest.fixture(autouse=True)
def nothing_broken() -> None:
    broken.clear()


@pytest.mark.parametrize("options", [{"replace": True}, {"rerun": True}, {"debounce": 5.0}])
@pytest.mark.parametrize("first", ["awaited", "other"])
def test_who_waits_for_a_call_with_a_key_waits_for_what_runs_of_it(
    flow: Flow, options: dict[str, object], first: str
) -> None:
    """Whichever comes first: the call that is waited for, or the one that it gives way to."""
    keyed = goes.using(key="k", delay=1.0, **options) if "debounce" not in options else goes.using(key="k", **options)
    if first == "other":
        keyed.enqueue("other")
    waiting = stays.using(after=[keyed.bind("awaited")]).enqueue()
    flow.keep()
    if first == "awaited":
        keyed.enqueue("other")
    flow.keep()
    for _turn in range(3):
        flow.bench.advance(6)
        flow.work(lane)
    assert flow.work(other) == ["stays"]
    assert flow.state(waiting) == State.COMPLETED


@pytest.mark.parametrize("fate", ["retried", "discarded", "cleaned", "removed by retention"])
def test_dead_letter_that_others_wait_for_goes_whichever_way(flow: Flow, fate: str) -> None:
    broken.add("a")
    awaited = goes.enqueue("a")
    runs = stays.using(after=[awaited, goes.using(delay=30).bind("b")], on_failure="run").enqueue()
    flow.work(lane)
    assert flow.state(runs) == State.BLOCKED
    if fate == "retried":
        broken.clear()
        retry(awaited)
    elif fate == "discarded":
        discard(awaited)
    elif fate == "cleaned":
        clean(lane, state="failed", older_than=timedelta(0))
    flow.keep()
    flow.bench.advance(31)
    flow.work(lane)
    assert flow.work(other) == ["stays"]
    assert flow.state(runs) == State.COMPLETED
