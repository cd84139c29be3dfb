"""A job waits for others: it starts when they have ended, reads how, and follows its rule if one did not complete."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import transaction

from jobs import (
    Fixed,
    InvalidOption,
    PermanentError,
    Queue,
    UnknownJob,
    cancel,
    chain,
    clock,
    current_job,
    retry,
)
from jobs.broker.database import edges
from jobs.models import Edge, Job
from jobs.operate.clean import remove
from jobs.states import State

from .conftest import Flow

lane = Queue("flow_lane", attempts=1, backoff=Fixed(0), keep_completed=0)
other = Queue("flow_other", attempts=1, backoff=Fixed(0), keep_completed=100)
seen: list[object] = []
broken: set[str] = set()


@lane.task(name="flow.first")
def first(text: str = "") -> str:
    if text in broken:
        raise PermanentError(f"{text} is broken")
    return text


@other.task(name="flow.second")
def second(text: str = "") -> str:
    seen.append([(one.state, one.result, one.error) for one in current_job().after])
    return f"second {text}"


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()
    broken.clear()


def test_job_waits_for_all_and_reads_their_results_though_none_is_kept(flow: Flow) -> None:
    with transaction.atomic():
        awaited = [first.enqueue("a"), first.enqueue("b")]
        waiting = second.using(after=awaited).enqueue()
    assert flow.state(waiting) == State.BLOCKED
    assert flow.step(lane)
    flow.keep()
    assert flow.state(waiting) == State.BLOCKED
    assert not flow.step(other)
    flow.work(lane)
    assert flow.work(other) == ["second"]
    assert seen == [[("completed", "a", ""), ("completed", "b", "")]]
    assert flow.state(waiting) == State.COMPLETED


def test_job_can_wait_for_one_that_was_enqueued_before_and_without_a_transaction(flow: Flow) -> None:
    awaited = first.enqueue("a")
    waiting = second.using(after=[awaited.id]).enqueue()
    flow.work(lane)
    assert flow.work(other) == ["second"]
    assert seen == [[("completed", "a", "")]]
    assert flow.state(waiting) == State.COMPLETED


def test_job_can_wait_inside_a_transaction_for_one_outside_of_it(flow: Flow) -> None:
    awaited = first.enqueue("a")
    with transaction.atomic():
        waiting = second.using(after=[awaited]).enqueue()
    flow.work(lane)
    assert flow.work(other) == ["second"]
    assert seen == [[("completed", "a", "")]]
    assert flow.state(waiting) == State.COMPLETED


def test_rollback_leaves_no_job_and_no_edge(flow: Flow) -> None:
    awaited = first.enqueue("a")
    with pytest.raises(RuntimeError), transaction.atomic():
        second.using(after=[awaited, first.bind("b")]).enqueue()
        raise RuntimeError
    assert not Edge.objects.exists()
    assert flow.work(lane) == ["first"]
    assert flow.work(other) == []


@pytest.mark.parametrize(
    ("rule", "state", "text"),
    [
        (None, State.FAILED, "waited for job {id}, which failed"),
        ("cancel", State.CANCELLED, "waited for job {id}, which failed"),
        ("run", State.COMPLETED, ""),
    ],
)
def test_rule_decides_what_follows_a_failure(flow: Flow, rule: str | None, state: State, text: str) -> None:
    broken.add("b")
    with transaction.atomic():
        awaited = [first.enqueue("a"), first.enqueue("b")]
        waiting = second.using(after=awaited, on_failure=rule).enqueue()
    flow.work(lane)
    flow.work(other)
    row = flow.row(waiting)
    assert (row.state, row.error or row.reason) == (state, text.format(id=awaited[1].id))
    if rule == "run":
        assert seen == [[("completed", "a", ""), ("failed", None, "PermanentError: b is broken")]]
    counted = flow.bench.counters("flow_other")
    assert counted == {state.value: 1}


def test_first_failure_decides_while_others_still_wait(flow: Flow) -> None:
    broken.add("a")
    with transaction.atomic():
        awaited = [first.enqueue("a"), first.using(delay=3_600).enqueue("b")]
        waiting = second.using(after=awaited).enqueue()
    flow.work(lane)
    assert flow.state(waiting) == State.FAILED


@pytest.mark.parametrize("ends", ["cancelled", "expired"])
def test_job_that_never_ran_counts_as_failed(flow: Flow, ends: str) -> None:
    options = {"expires": 5.0, "delay": 4.0} if ends == "expired" else {"delay": 60.0}
    with transaction.atomic():
        awaited = first.using(**options).enqueue("a")
        waiting = second.using(after=[awaited]).enqueue()
    if ends == "cancelled":
        awaited.cancel()
    else:
        flow.bench.advance(6)
        flow.work(lane)
        flow.bench.broker.reap(["flow_lane"])
    flow.keep()
    assert flow.row(waiting).error == (
        f"waited for job {awaited.id}, which {'was cancelled' if ends == 'cancelled' else 'expired'}"
    )


def test_chain_runs_in_order_and_a_break_ends_what_is_behind_it(flow: Flow) -> None:
    handles = chain(first.bind("a"), second.bind("b"), first.bind("c")).enqueue()
    for _link in range(3):
        flow.work(lane)
        flow.work(other)
    assert flow.started == ["first", "second", "first"]
    assert seen == [[("completed", "a", "")]]
    broken.add("a")
    handles = chain(first.bind("a"), *[second.bind(str(n)) for n in range(30)]).enqueue()
    flow.work(lane)
    assert flow.work(other) == []
    assert {flow.state(one) for one in handles} == {"failed"}
    assert flow.row(handles[-1]).error == f"waited for job {handles[-2].id}, which failed"


def test_call_that_two_wait_for_is_one_job(flow: Flow) -> None:
    root = first.bind("root")
    left, right = first.using(after=[root]).bind("left"), first.using(after=[root]).bind("right")
    last = second.using(after=[left, right]).enqueue("last")
    assert Job.objects.filter(task="flow.first").count() == 3
    assert flow.work(lane) == ["first"] * 3
    assert flow.work(other) == ["second"]
    assert seen == [[("completed", "left", ""), ("completed", "right", "")]]
    assert flow.state(last) == State.COMPLETED


def test_what_has_ended_counts_as_ended(flow: Flow) -> None:
    awaited = second.enqueue("a")
    flow.work(other)
    flow.keep()
    waiting = second.using(after=[awaited]).enqueue()
    assert flow.state(waiting) in (State.QUEUED, State.PENDING)
    flow.work(other)
    assert seen == [[], [("completed", "second a", "")]]
    broken.add("x")
    failed = first.enqueue("x")
    flow.work(lane)
    flow.keep()
    assert flow.state(second.using(after=[failed]).enqueue()) == State.FAILED


def test_job_of_which_nothing_is_known_is_refused(flow: Flow) -> None:
    with pytest.raises(UnknownJob, match="nothing is known of it any more"):
        second.using(after=[clock.new_id()]).enqueue()
    assert not Job.objects.exists()


@pytest.mark.parametrize("wrong", [7, "x", [7], [None], ["no id"], first])
def test_after_takes_jobs_and_calls_only(wrong: object) -> None:
    with pytest.raises(InvalidOption):
        second.using(after=wrong)
    with pytest.raises(InvalidOption, match="on_failure='ignore': expected one of fail, run, cancel"):
        second.using(on_failure="ignore")
    for enqueue in (lambda one: one.enqueue(), lambda one: one.enqueue_many([()])):
        with pytest.raises(InvalidOption, match="on_failure='run' without after="):
            enqueue(second.using(on_failure="run"))


def test_who_waits_for_a_duplicate_waits_for_the_job_that_holds_the_key(flow: Flow) -> None:
    holder = first.using(key="k", delay=1.0).enqueue("holder")
    waiting = second.using(after=[first.using(key="k").bind("duplicate")]).enqueue()
    flow.keep()
    assert flow.state(waiting) == State.BLOCKED
    flow.bench.advance(2)
    assert flow.work(lane) == ["first"]
    assert flow.work(other) == ["second"]
    assert seen == [[("completed", "holder", "")]]
    assert holder.created


def test_blocked_job_can_be_cancelled_and_expires(flow: Flow) -> None:
    awaited = first.using(delay=60).enqueue("a")
    waiting = [second.using(after=[awaited], expires=e).enqueue() for e in (None, 5.0)]
    behind = second.using(after=[waiting[0]], on_failure="cancel").enqueue()
    assert cancel(waiting[0]) == "cancelled"
    flow.bench.advance(6)
    if not flow.bench.broker.rows_are_the_queue:  # only the database knows it, by a clock that is not moved here
        Job.objects.filter(pk=waiting[1].id).update(expires_at=clock.now() - timedelta(seconds=1))
    flow.keep()
    assert [flow.state(one) for one in waiting] == ["cancelled", "expired"]
    assert flow.row(behind).reason == f"waited for job {waiting[0].id}, which was cancelled"
    assert flow.bench.counters("flow_other") == {"cancelled": 2, "expired": 1}


def test_retry_of_a_job_that_waited_begins_with_those_that_failed(flow: Flow) -> None:
    broken.add("a")
    handles = chain(first.bind("a"), first.bind("b"), second.bind()).enqueue()
    flow.work(lane)
    assert {flow.state(one) for one in handles} == {"failed"}
    broken.clear()
    retry(handles[-1])
    assert [flow.state(one) for one in handles[1:]] == ["blocked", "blocked"]
    assert flow.work(lane) == ["first", "first"]
    assert flow.work(other) == ["second"]
    assert seen == [[("completed", "b", "")]]
    assert flow.state(handles[-1]) == State.COMPLETED


def test_retention_leaves_what_others_wait_for_until_they_are_told(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction.atomic():
        awaited = first.enqueue("a")
        waiting = second.using(after=[awaited]).enqueue()
    with monkeypatch.context() as patch:
        patch.setattr(edges, "decide", lambda *args, **options: edges.Decided())
        flow.work(lane)
    assert flow.state(awaited) == State.COMPLETED
    assert remove(Job.objects.filter(state="completed")) == 0
    flow.keep()
    assert remove(Job.objects.filter(state="completed")) == 1
    assert flow.state(waiting) != State.BLOCKED


def test_job_without_anybody_waiting_for_it_pays_nothing(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> edges.Decided:
        raise AssertionError("a decision for a job that nobody waits for")

    first.enqueue("a")
    if flow.bench.broker.rows_are_the_queue and Job.objects.db and flow.bench.has_a_clock:
        monkeypatch.setattr(edges, "decide", refuse)
    else:
        monkeypatch.setattr(edges, "release", refuse)
    assert flow.work(lane, keeps=False) == ["first"]


def test_what_comes_again_waits_for_what_it_can_and_passes_over_the_rest(flow: Flow) -> None:
    broken.add("a")
    with transaction.atomic():
        awaited = [first.using(delay=60).enqueue("gone"), first.enqueue("a")]
        waiting = second.using(after=awaited).enqueue()
    awaited[0].cancel()
    flow.work(lane)
    assert flow.state(waiting) == State.FAILED
    broken.clear()
    retry(waiting)
    flow.work(lane)
    assert flow.work(other) == ["second"]
    assert [state for state, *_ in seen[0]] == ["cancelled", "completed"]


def test_ends_at_the_same_time_let_the_waiting_job_run_once(flow: Flow) -> None:
    """Without the lock of the waiting row, each of two that end at once would take the other for open."""
    for _round in range(5):
        with transaction.atomic():
            awaited = [first.enqueue(str(n)) for n in range(8)]
            second.using(after=awaited).enqueue()
        threads = [threading.Thread(target=flow.work_alone, args=(lane,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        # no keeper where the rows are the queue
        assert flow.work(other, keeps=not flow.bench.broker.rows_are_the_queue) == ["second"]
        assert flow.work(other) == []
