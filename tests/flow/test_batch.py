"""A batch: all of its block or nothing, exact counts, one end, and then once what follows it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections, transaction

from jobs import (
    Batch,
    BatchCounts,
    Fixed,
    InvalidOption,
    PermanentError,
    Queue,
    Refused,
    UnknownBatch,
    chain,
    clock,
    current_job,
    obliterate,
    retry,
)
from jobs.broker.database import edges
from jobs.broker.database.connection import Trip
from jobs.enqueue.unblock import unblock
from jobs.history import batches
from jobs.models import Batch as Row
from jobs.models import Edge, Job, Member
from jobs.operate.batches import KEPT, cancel_hopeless, forget_batches
from jobs.states import State

from .conftest import Flow

lane = Queue("batch_lane", attempts=1, backoff=Fixed(0), keep_completed=0, keep_failed=100)
follow = Queue("batch_follow", attempts=1, keep_completed=100)
broken: set[int] = set()
seen: list[tuple[str, BatchCounts]] = []
refusals: list[str] = []


@lane.task(name="batch.work")
def work(number: int, children: int = 0) -> int:
    if number in broken:
        raise PermanentError(f"{number} is broken")
    if children:
        batch = current_job().batch
        assert batch is not None
        batch.add_many(work.bind(number * 100 + child) for child in range(children))
    return number


@follow.task(name="batch.follows")
def follows(which: str) -> None:
    batch = current_job().batch
    assert batch is not None
    seen.append((which, batch.counts))
    try:
        batch.add(work.bind(0))
    except Refused as refusal:
        refusals.append(str(refusal))


@follow.task(name="batch.give_up")
def give_up() -> None:
    batch = current_job().batch
    assert batch is not None
    batch.cancel()
    try:
        batch.add(work.bind(0))
    except Refused as refusal:
        refusals.append(str(refusal))


@follow.task(name="batch.add_and_fail", atomic=True)
def add_and_fail() -> None:
    batch = current_job().batch
    assert batch is not None
    batch.add(work.bind(0))
    raise PermanentError("no")


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    for kept in (broken, seen, refusals):
        kept.clear()


def new_batch(name: str = "") -> Batch:
    calls = {f"on_{role}": follows.bind(role) for role in ("complete", "success", "failure")}
    return Batch(name, **calls)


def told(flow: Flow, *, keeps: bool = True) -> list[str]:
    flow.work(follow, keeps=keeps)
    return sorted(which for which, _counts in seen)


def test_counts_are_exact_though_nothing_is_kept_and_what_follows_comes_once(flow: Flow) -> None:
    with new_batch("import 42") as batch:
        handles = batch.add_many(work.bind(number) for number in range(5))
    assert batch.counts == BatchCounts(total=5, waiting=5)
    assert [one.id for one in batch.handles()] == sorted(one.id for one in handles)
    assert told(flow) == []
    assert flow.step(lane)
    assert batch.counts == BatchCounts(total=5, waiting=4, completed=1)
    assert Batch.get(str(batch.id)).progress == 0.2
    flow.work(lane)
    assert batch.counts == BatchCounts(total=5, completed=5)
    assert told(flow) == ["complete", "success"]
    assert seen[0][1] == BatchCounts(total=5, completed=5)
    assert batch.succeeded
    assert batch.ended_at is not None
    assert Batch.get(batch.id).name == "import 42"
    assert flow.bench.counters("batch_follow") == {"completed": 2, "cancelled": 1}
    assert len(refusals) == 2


def test_a_running_job_counts_as_active(flow: Flow) -> None:
    with Batch() as batch:
        batch.add_many([work.bind(1), work.bind(2)])
    flow.keep()
    worker = flow._worker(lane.name)
    claimed = flow.bench.broker.exchange(worker, lane.policy, [], 1, number=1).jobs
    assert batch.counts == BatchCounts(total=2, waiting=1, active=1)
    batch.cancel()
    assert batch.counts == BatchCounts(total=2, active=1, cancelled=1)
    assert batch.ended_at is None
    assert batch.cancelled
    assert len(claimed) == 1


def test_empty_batch_ends_at_once(flow: Flow) -> None:
    with new_batch() as batch:
        pass
    assert batch.ended_at is not None
    assert batch.counts == BatchCounts()
    assert batch.progress == 1.0
    assert told(flow) == ["complete", "success"]


def test_failure_is_told_and_a_retry_that_completes_makes_it_a_success_once(flow: Flow) -> None:
    broken.update({1, 2})
    with new_batch() as batch:
        handles = batch.add_many([work.bind(number) for number in range(3)])
    flow.work(lane)
    assert told(flow) == ["complete", "failure"]
    assert batch.counts == BatchCounts(total=3, completed=1, failed=2)
    assert not batch.succeeded
    broken.discard(1)
    retry(handles[1])
    assert batch.counts == BatchCounts(total=3, waiting=1, completed=1, failed=1)
    flow.work(lane)
    assert told(flow) == ["complete", "failure"]
    retry(handles[2])
    flow.work(lane)
    assert batch.counts == BatchCounts(total=3, completed=2, failed=1)
    broken.clear()
    retry(handles[2])
    flow.work(lane)
    assert told(flow) == ["complete", "failure", "success"]
    assert batch.counts == BatchCounts(total=3, completed=3)
    assert batch.succeeded
    unblock()
    assert told(flow) == ["complete", "failure", "success"]


def test_rollback_leaves_nothing(flow: Flow) -> None:
    with pytest.raises(RuntimeError), new_batch() as batch:
        batch.add_many([work.bind(1), work.using(after=[work.bind(2)]).bind(3)])
        raise RuntimeError
    with transaction.atomic():
        with new_batch() as other:
            other.add(work.bind(4))
        transaction.set_rollback(True)
    assert [model.objects.count() for model in (Row, Member, Job, Edge)] == [0, 0, 0, 0]
    assert flow.work(lane) == []
    with pytest.raises(UnknownBatch):
        assert batch.ended_at


def test_jobs_of_a_batch_add_to_it_while_they_run(flow: Flow) -> None:
    with new_batch() as batch:
        batch.add(work.bind(1, children=3))
        batch.add(work.bind(2))
    assert flow.step(lane)
    flow.keep()
    assert batch.counts.total == 5
    assert told(flow) == []
    flow.work(lane)
    assert told(flow) == ["complete", "success"]
    assert seen[0][1] == BatchCounts(total=5, completed=5)


def test_only_a_running_job_of_the_batch_adds_to_it_and_only_while_it_lives(flow: Flow) -> None:
    with new_batch() as batch:
        handle = batch.add(work.bind(1))
    with pytest.raises(Refused, match="by a running job of it"):
        batch.add(work.bind(2))
    with pytest.raises(Refused, match="make another"), batch:
        pass
    flow.work(lane)
    assert told(flow) == ["complete", "success"]
    assert len(refusals) == 2
    with pytest.raises(InvalidOption, match=r"add\(7\)"), Batch() as other:
        other.add(7)  # type: ignore[arg-type]
    assert not Row.objects.exclude(pk=batch.id).exists()
    assert handle.id


def test_added_calls_wait_for_each_other_and_each_is_one_job(flow: Flow) -> None:
    first = work.bind(1)
    with new_batch() as batch:
        waiting = batch.add(work.using(after=[first]).bind(2))
        assert batch.add(first) == batch.add(first)
        batch.add(chain(work.bind(3), work.bind(4)))
    assert flow.state(waiting) == State.BLOCKED
    assert batch.counts == BatchCounts(total=4, waiting=4)
    flow.work(lane)
    assert batch.counts == BatchCounts(total=4, completed=4)
    assert told(flow) == ["complete", "success"]


def test_cancel_ends_what_waits_and_then_the_batch(flow: Flow) -> None:
    with new_batch() as batch:
        batch.add_many([work.bind(1), work.using(after=[work.bind(2)]).bind(3), work.using(delay=60).bind(4)])
    assert flow.step(lane)
    flow.keep()
    batch.cancel()
    flow.keep()
    assert batch.counts == BatchCounts(total=4, completed=1, cancelled=3)
    assert told(flow) == ["complete", "failure"]
    assert batch.cancelled
    assert batch.ended_at is not None
    batch.cancel()
    assert told(flow) == ["complete", "failure"]
    # what was cancelled cannot be retried: nothing waits for that
    assert not Job.objects.filter(state=State.BLOCKED).exists()


def test_nothing_is_added_to_a_cancelled_batch_and_a_failing_start_adds_nothing(flow: Flow) -> None:
    with new_batch() as batch:
        batch.add(give_up.bind())
        batch.add(work.using(delay=60).bind(1))
    flow.work(follow)
    assert refusals[0] == f"batch {batch.id} has ended, or was cancelled: begin another one"
    flow.keep()
    assert batch.counts == BatchCounts(total=2, completed=1, cancelled=1)
    refusals.clear()
    with new_batch() as other:
        other.add(add_and_fail.bind())
    assert told(flow) == ["complete", "complete", "failure", "failure"]
    assert other.counts == BatchCounts(total=1, failed=1)


def test_a_duplicate_counts_as_the_job_that_holds_its_key(flow: Flow) -> None:
    holder = work.using(key="k", delay=1.0).enqueue(1)
    with new_batch() as batch:
        batch.add_many([work.using(key="k").bind(2), work.using(key="k").bind(3), work.bind(4)])
    flow.work(lane)
    assert batch.counts == BatchCounts(total=2, waiting=1, completed=1)
    assert {one.id for one in batch.handles()} > {holder.id}
    assert told(flow) == []
    flow.bench.advance(2)
    flow.work(lane)
    assert told(flow) == ["complete", "success"]


def test_what_a_kill_leaves_the_keeper_ends(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_batch() as batch:
        batch.add(work.bind(1))
    with monkeypatch.context() as patch:
        patch.setattr(edges, "end_batches", lambda *args, **options: None)
        flow.work(lane)
        assert batch.ended_at is None
    assert batch.counts == BatchCounts(total=1, completed=1)
    flow.keep()
    assert told(flow) == ["complete", "success"]


def test_obliterated_jobs_count_as_cancelled(flow: Flow) -> None:
    with new_batch() as batch:
        batch.add_many([work.bind(1), work.bind(2)])
    flow.keep()
    obliterate(lane, force=True)
    flow.keep()
    assert batch.counts == BatchCounts(total=2, cancelled=2)
    assert told(flow) == ["complete", "failure"]


@pytest.mark.parametrize("fate", ["retried", "discarded", "removed"])
def test_success_that_cannot_come_any_more_is_not_waited_for(flow: Flow, fate: str) -> None:
    broken.update({1, 2})
    with new_batch() as batch:
        handles = batch.add_many([work.bind(number) for number in range(3)])
    flow.work(lane)
    assert cancel_hopeless() == 0
    if fate == "retried":
        retry(handles[1])
    elif fate == "discarded":
        handles[1].discard()
        flow.keep()
    else:
        Job.objects.filter(pk=handles[1].id).delete()
    follower = Job.objects.get(pk=batches.followers(batch.id)["success"])
    assert follower.state == State.BLOCKED
    assert cancel_hopeless() == (0 if fate == "retried" else 1)
    follower.refresh_from_db()
    assert follower.state == (State.BLOCKED if fate == "retried" else State.CANCELLED)
    assert cancel_hopeless() == 0
    broken.clear()
    for handle in handles[1 if fate == "retried" else 2 :]:
        if handle.state == "failed":
            retry(handle)
    flow.work(lane)
    assert told(flow) == ["complete", "failure", *(["success"] if fate == "retried" else [])]


def test_a_batch_is_forgotten_a_week_after_its_end(flow: Flow) -> None:
    broken.add(1)
    with new_batch() as batch:
        batch.add(work.bind(1))
    with Batch() as running:
        running.add(work.using(delay=3_600).bind(2))
    flow.work(lane)
    assert told(flow) == ["complete", "failure"]
    assert forget_batches(lambda: True) == 0
    Row.objects.filter(ended_at__isnull=False).update(ended_at=clock.now() - KEPT - timedelta(minutes=1))
    assert forget_batches(lambda: True) > 0
    with pytest.raises(UnknownBatch, match="some days after its end"):
        Batch.get(batch.id)
    assert not Member.objects.filter(batch_id=batch.id).exists()
    assert not Job.objects.filter(state=State.BLOCKED).exists()
    assert Batch.get(running.id).counts.total == 1


def test_last_jobs_that_end_at_once_end_the_batch_once(flow: Flow) -> None:
    """Each of four that look before all are committed would take the others' jobs for open."""
    for _round in range(4):
        seen.clear()
        with new_batch() as batch:
            batch.add_many(work.bind(number) for number in range(12))
        threads = [threading.Thread(target=flow.work_alone, args=(lane,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
        # no keeper where the rows are the queue
        assert told(flow, keeps=not flow.bench.broker.rows_are_the_queue) == ["complete", "success"]
        assert batch.counts == BatchCounts(total=12, completed=12)
        assert told(flow) == ["complete", "success"]


@pytest.mark.postgresql  # SQLite lets one write at a time
@pytest.mark.parametrize("by", ["worker", "keeper"])
def test_two_who_end_the_last_jobs_and_do_not_see_each_other_end_the_batch(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    with new_batch() as batch:
        handles = batch.add_many([work.bind(1), work.bind(2)])
    with monkeypatch.context() as patch:
        patch.setattr(edges, "decide", lambda *args, **options: edges.Decided())
        patch.setattr("jobs.enqueue.unblock.edges.read_unended_batches", lambda connection: [])
        flow.work(lane)
    real, both, mine = edges.decide, threading.Barrier(2), threading.local()

    def decide(trip: Trip, **options: Any) -> edges.Decided:
        done = real(trip, **{**options, "ids": [mine.job]})
        if done.ended:  # neither is committed before both have looked
            both.wait(30)
        return done

    def end(job: UUID) -> None:
        mine.job = job
        try:
            flow.bench.another().decide() if by == "worker" else unblock([job])  # type: ignore[attr-defined]
        finally:
            connections.close_all()

    monkeypatch.setattr(edges, "decide", decide)
    threads = [threading.Thread(target=end, args=(one.id,)) for one in handles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    monkeypatch.undo()
    assert batch.succeeded


def test_a_batch_of_three_hundred(flow: Flow) -> None:
    broken.update({7, 8})
    with new_batch() as batch:
        batch.add_many(work.bind(number) for number in range(300))
    while flow.step(lane):
        pass
    flow.keep()
    assert batch.counts == BatchCounts(total=300, completed=298, failed=2)
    assert told(flow) == ["complete", "failure"]


@pytest.mark.slow
@pytest.mark.long
def test_ten_thousand_jobs_are_added_in_half_a_minute(flow: Flow) -> None:
    began = clock.monotonic()
    with new_batch() as batch:
        batch.add_many(work.bind(number) for number in range(10_000))
    assert clock.monotonic() - began < 30
    assert batch.counts.total == 10_000
    batch.cancel()
    flow.keep()
    assert batch.counts == BatchCounts(total=10_000, cancelled=10_000)
    assert told(flow) == ["complete", "failure"]


@pytest.mark.parametrize("wrong", [7, "x", work, chain(work.bind(1))])
def test_what_follows_is_a_call(wrong: object) -> None:
    with pytest.raises(InvalidOption, match="on_success=.*expected a call"):
        Batch(on_success=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="has after="):
        Batch(on_failure=work.using(after=[work.bind(1)]).bind(2))
    with pytest.raises(InvalidOption, match="expected a batch's id"):
        Batch.get("x")
