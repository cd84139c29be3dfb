"""Tasks that are `async def`: on one loop of their worker process, with the outcomes of any other task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import connections, transaction

from jobs import Fixed, Queue, current_job
from jobs.broker.records import Completed, GivenUp, Retried, Settlement
from jobs.errors import InvalidTask
from jobs.testing import run_jobs
from jobs.work import event_loop
from jobs.work.execution import execute
from tests.each_broker import claim

lane = Queue("async_lane", attempts=2, backoff=Fixed(0))
loops: list[int] = []


@lane.task(name="async.hello")
async def hello(name: str) -> str:
    await asyncio.sleep(0)
    loops.append(id(asyncio.get_running_loop()))
    return f"{name} {current_job().attempt} {threading.current_thread().name}"


@lane.task(name="async.meet")
async def meet(number: int) -> int:
    """Ends once so many are there."""
    met.append(number)
    while len(met) < number:
        await asyncio.sleep(0.001)
    return len(met)


@lane.task(name="async.group")
async def name_group(name: str) -> int:
    await Group.objects.acreate(name=name)
    return await Group.objects.acount()


@lane.task(name="async.slow", timeout=0.05)
async def slow() -> None:
    try:
        await asyncio.sleep(60)
    finally:
        cleaned.append(True)


@lane.task(name="async.leave")
async def leave(how: str) -> None:
    if how == "exit":
        raise SystemExit(3)
    if how == "stop":
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.001)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "agree":
        current_job().cancel_requested = True
        current_job().check_cancelled()


@lane.task(name="async.hold")
async def hold() -> None:
    await sync_to_async(let_go.wait)(60)


let_go = threading.Event()
met: list[int] = []
cleaned: list[bool] = []


@pytest.fixture(autouse=True)
def in_a_worker(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[None]:
    monkeypatch.setattr(event_loop, "_is_worker", True)
    for kept in (loops, met, cleaned):
        kept.clear()
    yield
    # what the tasks opened in the thread in which all of them speak to the database
    event_loop.run(_close_all(), 10)


async def _close_all() -> None:
    await sync_to_async(connections.close_all)()


def work(number: int = 1) -> list[Settlement | None]:
    """Claim so many jobs, and run each in a thread of its own."""
    claimed = claim(lane.name, number)
    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(lambda job: execute(job, lane, job.id), claimed))


def outcome(settlement: Settlement | None) -> object:
    assert settlement is not None
    return settlement.outcome


def test_all_run_on_one_loop_and_know_their_job() -> None:
    hello.enqueue_many(["Ada", "Grace"])
    found = sorted(str(outcome(one).result) for one in work(2))  # type: ignore[attr-defined]
    assert found == ['"Ada 1 jobs-event-loop"', '"Grace 1 jobs-event-loop"']
    assert len(set(loops)) == 1


def test_they_wait_for_each_other_without_end_of_threads() -> None:
    meet.enqueue_many([8] * 8)
    assert [outcome(one) for one in work(8)] == [Completed("8")] * 8


def test_django_s_async_queries_work_in_them() -> None:
    name_group.enqueue("sales")
    assert [outcome(one) for one in work()] == [Completed("1")]


def test_one_past_its_timeout_is_cancelled_where_it_waits() -> None:
    slow.enqueue()
    (settlement,) = work()
    ended = outcome(settlement)
    assert isinstance(ended, Retried)
    assert ended.error == "TimeoutError: not ended after the 0.05 s of its timeout"
    assert cleaned == [True]


def test_none_waits_for_what_another_does_in_django_s_thread() -> None:
    hold.enqueue()
    hello.enqueue("Ada")
    claimed = claim(lane.name, 2)
    with ThreadPoolExecutor(2) as threads:
        held, told = (threads.submit(execute, job, lane, job.id) for job in claimed)
        assert isinstance(outcome(told.result(60)), Completed)
        assert not held.done()
        let_go.set()
        assert isinstance(outcome(held.result(60)), Completed)


def test_it_can_be_called_in_place() -> None:
    assert str(hello.call("Ada")).startswith("Ada 1 ")


def test_a_context_around_one_is_refused() -> None:
    with pytest.raises(InvalidTask, match="write the `with` inside it"):

        @lane.context_task(nullcontext())
        async def both() -> None: ...


@pytest.mark.parametrize(
    ("how", "expected"),
    [("exit", Retried), ("interrupt", Retried), ("stop", Completed), ("agree", GivenUp)],
)
def test_no_task_ends_the_loop(how: str, expected: type) -> None:
    leave.enqueue(how)
    assert isinstance(outcome(work()[0]), expected)
    hello.enqueue("Ada")
    assert isinstance(outcome(work()[0]), Completed)


def test_elsewhere_it_sees_what_the_thread_that_asks_has_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a test does that Django rolls back."""
    monkeypatch.setattr(event_loop, "_is_worker", False)
    with transaction.atomic():
        Group.objects.create(name="support")
        job = name_group.enqueue("sales")
        run_jobs(lane.name)
        assert job.refresh().result == "2"


def test_an_atomic_one_is_refused() -> None:
    with pytest.raises(InvalidTask, match="is async and atomic=True"):

        @lane.task(atomic=True)
        async def both() -> None: ...
