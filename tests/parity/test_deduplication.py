"""What BullMQ's guide says of deduplication, and what holds here beside it: inside transactions, and under a storm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections, transaction

from jobs import JobHandle, Queue, clock
from jobs.broker.records import Completed, ProcessRecord, Settlement
from jobs.enqueue import outbox
from jobs.errors import Refused
from jobs.keep import merge, prune
from jobs.models import Job, Throttle
from jobs.operate.retry import retry
from jobs.work.execution import execute
from tests.contract.conftest import BENCHES, Bench
from tests.each_broker import as_the_broker

lane, other = Queue("lane", attempts=1), Queue("other", keep_completed=0)
#: What ran, with its arguments; and what a running job does.
ran: list[str] = []
inside: list[Callable[[], Any]] = []


@lane.task(name="parity.paint")
def paint(color: str) -> str:
    while inside:
        inside.pop()()
    ran.append(color)
    return color


@other.task(name="parity.forget")
def forget(color: str) -> str:
    ran.append(color)
    return color


@lane.task(name="parity.sync", unique=("lead_id",))
def sync(lead_id: int, note: str = "") -> None:
    ran.append(note)


@pytest.fixture(params=[name for name in ("sqlite", "postgresql", "redis") if name in BENCHES])
def bench(request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    with BENCHES[request.param]() as standing, as_the_broker(standing.broker, monkeypatch):
        ran.clear()
        inside.clear()
        yield standing


class Work:
    """A worker in this thread, with a keeper that relays."""

    def __init__(self, bench: Bench, queue: Queue = lane) -> None:
        self.broker, self.queue, self.number = bench.broker, queue, 0
        self.worker = ProcessRecord(clock.new_id(), "worker", queue.name, "host", 1, 1)
        self.broker.register(self.worker, 1_000_000)

    def claim(self) -> Any:
        outbox.push_pending()
        self.number += 1
        found = self.broker.exchange(self.worker.id, self.queue.policy, [], 1, number=self.number).jobs
        return found[0] if found else None

    def settle(self, settlement: Settlement) -> None:
        self.number += 1
        answer = self.broker.exchange(self.worker.id, self.queue.policy, [settlement], 0, number=self.number)
        assert answer.settled[0].counted

    def __call__(self) -> list[str]:
        """Run what is due until nothing is; the arguments in the order of the starts."""
        ran.clear()
        while job := self.claim():
            settlement = execute(job, self.queue, self.worker.id)
            assert settlement is not None
            self.settle(settlement)
        return list(ran)


@pytest.fixture
def work(bench: Bench) -> Work:
    return Work(bench)


def in_transaction(task: Any, *args: Any) -> JobHandle:
    with transaction.atomic():
        handle: JobHandle = task.enqueue(*args)
        assert handle.created is None
    return handle


def test_simple_mode_ignores_later_jobs_until_the_first_has_completed_or_failed(work: Work) -> None:
    call = paint.using(key="house")
    first, second = call.enqueue("white"), call.enqueue("red")
    assert (first.created, second.created, second == first) == (True, False, True)
    assert work() == ["white"]
    inside.append(lambda: 1 / 0)
    assert call.enqueue("blue").created
    assert work() == []
    assert call.enqueue("green").created


def test_throttle_mode_ignores_later_jobs_for_its_time_also_after_the_end(work: Work, bench: Bench) -> None:
    call = paint.using(key="house", throttle=60)
    first = call.enqueue("white")
    assert work() == ["white"]
    bench.advance(50)
    assert call.enqueue("red") == first
    loser = in_transaction(call, "red")
    assert (work(), str(first.id) in JobHandle(loser.id).job.reason) == ([], True)
    assert lane.holder("house") == first
    bench.advance(11)
    prune.run()
    assert not Throttle.objects.exists()
    again = call.enqueue("blue")
    assert (again.created, work()) == (True, ["blue"])


def test_debounce_mode_runs_the_last_call_once_after_the_quiet_time(work: Work, bench: Bench) -> None:
    call = paint.using(key="house", debounce=5)
    first = call.enqueue("white")
    bench.advance(4)
    assert call.enqueue("red") == first
    bench.advance(4)
    third = in_transaction(call, "blue")
    assert work() == []
    bench.advance(4)
    assert work() == []
    bench.advance(2)
    assert work() == ["blue"]
    bench.record(third.id)
    assert (third.state, str(first.id) in third.job.reason) == ("cancelled", True)


@pytest.mark.parametrize("mode", ["rerun", "replace"])
def test_keep_last_if_active_runs_once_more_with_the_last_arguments_however_many_calls_came(
    work: Work, bench: Bench, mode: str
) -> None:
    call = paint.using(key="house", **{mode: True})
    handles = [call.enqueue("white")]

    def calls() -> None:
        handles.extend([call.enqueue("red"), call.enqueue("green"), in_transaction(call, "blue")])

    inside.append(calls)
    assert work() == ["white", "blue"]
    first, second, third, fourth = handles
    assert [one.created for one in handles] == [True, True, False, None]
    assert (second.id != first.id, third == second, fourth.id == second.id) == (True, True, False)
    bench.record(fourth.id)
    assert [first.state, second.state, fourth.state] == ["completed", "completed", "cancelled"]
    assert work() == []


def test_key_is_looked_up_and_released_by_its_owner_only(work: Work) -> None:
    assert lane.holder("house") is None
    first = paint.using(key="house").enqueue("white")
    assert lane.holder("house") == first
    assert not paint.enqueue("other").release_key()
    assert first.release_key()
    second = paint.using(key="house").enqueue("red")
    assert (second.created, first.release_key(), lane.holder("house")) == (True, False, second)
    assert sorted(work()) == ["other", "red", "white"]


def test_arguments_make_the_key(work: Work) -> None:
    first = sync.enqueue(7, note="a")
    assert (sync.enqueue(lead_id=7, note="b"), sync.enqueue(8, note="c").created) == (first, True)
    assert lane.holder(sync.key_of(7)) == first
    assert sync.using(rerun=True).enqueue(7, note="d") == first
    assert sorted(work()) == ["c", "d"]


def test_call_of_a_rolled_back_transaction_changes_nothing_and_one_that_died_after_commit_is_relayed(
    work: Work, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = paint.using(key="house", debounce=5)
    call.enqueue("white")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        call.enqueue("red")
        _ = 1 / 0
    monkeypatch.setattr("jobs.enqueue.after_commit._push_committed", lambda ids: None)
    lost = in_transaction(call, "blue")
    assert lost.state == "pending"
    bench.advance(6)
    # the relay came too late for the first one's start
    assert work() in (["blue"], ["white", "blue"], [])
    bench.advance(6)
    assert (ran + work())[-1] == "blue"


def test_call_whose_row_the_broker_has_already_is_not_taken_twice(work: Work, bench: Bench) -> None:
    """The process died between the push and what it would have written of the answer."""
    call = paint.using(key="house", replace=True)
    call.enqueue("white")
    twin = in_transaction(call, "red")
    call.enqueue("blue")
    outbox.push_pending()
    assert work() == ["blue"]
    bench.record(twin.id)
    assert (twin.state, work()) == ("cancelled", [])


def test_retry_of_a_dead_letter_is_refused_while_a_later_call_has_the_key(work: Work) -> None:
    call = paint.using(key="house", rerun=True)
    inside.append(lambda: 1 / 0)
    dead = in_transaction(call, "white")
    work()
    assert dead.state == "failed"
    call.enqueue("red")
    with pytest.raises(Refused, match="holds the key"):
        retry(dead)
    assert work() == ["red"]
    retry(dead)
    assert work() == ["white"]


def test_nothing_of_a_key_is_left_where_retention_keeps_nothing(bench: Bench) -> None:
    work, call = Work(bench, other), forget.using(key="house", rerun=True)
    in_transaction(call, "white")
    first = work.claim()
    in_transaction(call, "red")
    in_transaction(call, "blue")
    work.settle(Settlement(first, Completed(), bench.broker.now(), bench.broker.now()))
    assert work() == ["blue"]
    for _ in range(3):
        merge.merge_queue(bench.broker, other.policy, merge.Forgetting())
        prune.prune([other.policy])
    assert (work(), other.holder("house"), list(Job.objects.values_list("state", flat=True))) == ([], None, [])
    assert bench.counters("other") == {"completed": 2, "cancelled": 1}


def test_storm_never_makes_two_live_jobs_of_one_key_and_loses_no_last_call(work: Work, bench: Bench) -> None:
    """Twenty threads, each with its own connections, in and out of transactions, while a worker holds jobs."""
    calls = {mode: paint.using(key=mode, **{mode: True}) for mode in ("rerun", "replace")}
    troubles: list[BaseException] = []

    def storm(number: int) -> None:
        try:
            for i in range(4):
                for mode, call in calls.items():
                    if (i + number) % 2:
                        in_transaction(call, f"{mode} {number} {i}")
                    else:
                        call.enqueue(f"{mode} {number} {i}")
        except BaseException as error:
            troubles.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=storm, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    held: dict[str, Any] = {}
    while any(thread.is_alive() for thread in threads):
        for _ in range(3):
            if job := work.claim():
                assert job.key not in held, "two jobs of one key run at once"
                held[job.key] = job
        for job in held.values():
            work.settle(Settlement(job, Completed(), bench.broker.now(), bench.broker.now()))
        held.clear()
    for thread in threads:
        thread.join()
    assert troubles == []
    last = [call.enqueue(f"{mode} last") for mode, call in calls.items()]
    said = work()
    for mode in calls:
        assert [one for one in said if one.startswith(mode)][-1] == f"{mode} last"
    bench.record(last[0].id)
    assert not Job.objects.exclude(state__in=["completed", "cancelled"]).exists()
