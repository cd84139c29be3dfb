"""`handle.result()`: it always ends, costs next to nothing while it waits, and outlives what the database does."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections, transaction

from jobs import JobHandle, Queue, clock
from jobs.errors import JobFailed, Refused, ResultTimeout, UnknownJob
from jobs.history import endings
from jobs.models import Job
from jobs.states import State

pytestmark = pytest.mark.usefixtures("each_database")
lane = Queue("results_lane", attempts=1)


@lane.task(name="results.echo")
def echo(text: str) -> str:
    return text


@pytest.fixture(autouse=True)
def _nobody_looks_afterwards() -> Iterator[None]:
    yield
    eventually(lambda: looker() is None)


def eventually(true: Callable[[], Any], seconds: float = 10) -> Any:
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.005)
    return value


def looker() -> threading.Thread | None:
    return next((thread for thread in threading.enumerate() if thread.name == "jobs-endings"), None)


def end(job_id: UUID, state: State = State.COMPLETED, **fields: Any) -> None:
    Job.objects.filter(pk=job_id).update(state=state, ended_at=clock.now(), **fields)


def waiting(handles: list[JobHandle], timeout: float = 30) -> tuple[ThreadPoolExecutor, list[Any]]:
    """A thread for each handle that waits for its result, all of them at it."""
    pool = ThreadPoolExecutor(len(handles))
    futures = [pool.submit(handle.result, timeout) for handle in handles]
    eventually(lambda: len(endings._lookout._waits) == len(handles))
    return pool, futures


def test_each_way_to_end_is_told() -> None:
    done, failed, cancelled, gone = [echo.enqueue("x") for _ in range(4)]
    pool, futures = waiting([done, failed, cancelled, gone])
    end(done.id, result='"x"')
    end(failed.id, State.FAILED, error="it broke")
    end(cancelled.id, State.CANCELLED, reason="not needed")
    Job.objects.filter(pk=gone.id).delete()
    with pool:
        assert futures[0].result(60) == "x"
        with pytest.raises(JobFailed, match="it broke"):
            futures[1].result(60)
        with pytest.raises(JobFailed, match="not needed"):
            futures[2].result(60)
        with pytest.raises(UnknownJob):
            futures[3].result(60)


def test_a_job_that_goes_on_times_out_in_time() -> None:
    handle = echo.enqueue("x")
    for _ in range(10):  # another process may have the processor
        began = time.monotonic()
        with pytest.raises(ResultTimeout, match=r"is still queued after 0\.2 s"):
            handle.result(timeout=0.2)
        if (took := time.monotonic() - began) < 1.5:
            break
    assert took < 1.5


def test_a_very_short_wait_sees_a_job_that_has_ended() -> None:
    handle = echo.enqueue("x")
    end(handle.id, result='"x"')
    assert handle.result(timeout=0.0001) == "x"
    assert handle.result(timeout=float("inf")) == "x"


def test_many_results_one_after_the_other_are_quick() -> None:
    handles = echo.enqueue_many([(str(number),) for number in range(50)])
    Job.objects.update(state=State.COMPLETED, ended_at=clock.now(), result='"x"')
    took = []
    for _attempt in range(10):  # another process may have the processor
        began = time.monotonic()
        assert [handle.result() for handle in handles] == ["x"] * 50
        took.append(time.monotonic() - began)
        if took[-1] < 2:
            return
    pytest.fail(f"fifty results took so many seconds: {took}")


def test_a_result_appears_soon_after_the_job_ended() -> None:
    echo.enqueue("other")
    late = []
    for _ in range(30):  # another process may have the processor
        handle = echo.enqueue("x")
        pool, (future,) = waiting([handle])
        time.sleep(0.1)  # a job of this length
        end(handle.id, result='"x"')
        began = time.monotonic()
        future.result(60)
        late.append(time.monotonic() - began)
        pool.shutdown()
        if late[-1] < 0.05:
            break
    assert min(late) < 0.05


def test_a_hundred_threads_that_wait_cost_next_to_nothing() -> None:
    handles = echo.enqueue_many([(str(number),) for number in range(100)])
    pool, futures = waiting(handles)
    time.sleep(0.5)
    began, used = time.monotonic(), time.process_time()
    time.sleep(2)
    share = (time.process_time() - used) / (time.monotonic() - began)
    Job.objects.update(state=State.COMPLETED, ended_at=clock.now(), result='"x"')
    with pool:
        assert [future.result(60) for future in futures] == ["x"] * 100
    assert share < 0.05


@pytest.mark.postgresql
def test_a_hundred_threads_share_one_connection_that_ends_with_the_last(each_database: str) -> None:
    handles = echo.enqueue_many([(str(number),) for number in range(100)])
    before = sessions()
    pool, _ = waiting(handles)
    eventually(lambda: sessions() > before)
    assert sessions() == before + 1
    Job.objects.update(state=State.COMPLETED, ended_at=clock.now(), result='"x"')
    pool.shutdown()
    eventually(lambda: sessions() == before)
    assert looker() is None


def sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.mark.postgresql
def test_who_waits_outlives_the_end_of_every_session(each_database: str) -> None:
    handle = echo.enqueue("x")
    pool, (future,) = waiting([handle])
    for _ in range(3):
        eventually(lambda: endings._lookout.connection)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    end(handle.id, result='"x"')
    with pool:
        assert future.result(60) == "x"


def test_a_database_that_is_away_all_the_time_ends_in_a_timeout_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = echo.enqueue("x")
    monkeypatch.setattr(endings, "look", _is_away)
    with pytest.raises(ResultTimeout, match="did not answer .*connection refused"):
        handle.result(timeout=0.2)


def _is_away(job_ids: Any) -> Any:
    raise ConnectionError("connection refused")


def test_inside_a_transaction_only_what_has_ended_is_told() -> None:
    handle, done = echo.enqueue("x"), echo.enqueue("x")
    end(done.id, result='"x"')
    with transaction.atomic():
        assert done.result() == "x"
        with pytest.raises(Refused):
            handle.result()
    connection.set_autocommit(False)
    try:
        with pytest.raises(Refused):
            handle.result()
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def test_a_forked_child_waits_by_itself_and_its_parent_goes_on() -> None:
    handles = [echo.enqueue("x"), echo.enqueue("y")]
    pool, (future,) = waiting(handles[:1])
    eventually(lambda: endings._lookout.connection)
    child = multiprocessing.get_context("fork").Process(target=_wait_and_exit, args=(handles[1],))
    child.start()
    end(handles[1].id, result='"y"')
    child.join(60)
    assert child.exitcode == 0
    end(handles[0].id, result='"x"')
    with pool:
        assert future.result(60) == "x"


def _wait_and_exit(handle: JobHandle) -> None:
    for inherited in connections.all(initialized_only=True):
        inherited.connection = None
    os._exit(0 if handle.result(60) == "y" else 1)
