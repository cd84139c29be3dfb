"""A job past its timeout is told of, once, with the place where it hangs, and another thread takes its place."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from jobs import Fixed, Queue, clock, reasons
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.history.status.report import report
from jobs.policy import QueueLimits
from jobs.work import late
from jobs.work.consumer import QueueConsumer
from jobs.work.execution import execute
from jobs.work.limits import LimitsWatch
from jobs.work.runners import Runners
from tests.each_broker import claim
from tests.faults.harness import wait_for

lane = Queue("late_lane", attempts=1, backoff=Fixed(0))
begun, go_on = threading.Event(), threading.Event()


@lane.task(name="late.hang", timeout=0.001)
def hang() -> None:
    begun.set()
    assert go_on.wait(60)


@lane.task(name="late.endless")
def endless() -> None:
    hang.func()


@pytest.mark.parametrize(("task", "times"), [(hang, 1), (endless, 0)])
def test_it_is_told_once_and_only_if_it_has_a_timeout(
    transactional_db: None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    task: object,
    times: int,
) -> None:
    monkeypatch.setattr(late, "LATE_AFTER", -60.0)  # at once
    filled: list[object] = []
    begun.clear()
    go_on.clear()
    task.enqueue()  # type: ignore[attr-defined]
    (job,) = claim(lane.name)
    thread = threading.Thread(target=execute, args=[job, lane, job.id])
    thread.start()
    assert begun.wait(60)
    try:
        for _look in range(3):
            late.tell_of_late(filled.append)
    finally:
        go_on.set()
        thread.join()
    told = [record.getMessage() for record in caplog.records if "past_timeout" in record.getMessage()]
    assert len(told) == times
    assert filled == [job.id] * times
    assert all("in hang" in text and f"id={job.id} task=late.hang" in text for text in told)


deaf = Queue("deaf_lane", attempts=1, concurrency=2)
hear = threading.Event()
runs = threading.Semaphore(0)


@deaf.task(name="deaf.hang", timeout=0.001)
def hang_on() -> str:
    runs.release()
    assert hear.wait(60)
    return "heard"


@deaf.task(name="deaf.quick")
def quick() -> str:
    return "quick"


def test_places_are_filled_anew_as_often_as_there_are_and_no_more(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "LATE_AFTER", 0.0)
    hear.clear()
    broker, record = get_broker(), ProcessRecord(clock.new_id(), "worker", deaf.name, "here", 1, 2)
    broker.register(record, 600)
    consumer = QueueConsumer(deaf, broker, record.id, threads=2, grace=60)
    pool = consumer.pool
    thread = threading.Thread(target=consumer.run)
    thread.start()

    def hang_two() -> list[object]:
        handles = hang_on.enqueue_many([()] * 2)
        for _ in handles:
            assert runs.acquire(timeout=60)
        wait_for(lambda: _all_late())
        late.tell_of_late(consumer.fill_place)
        return list(handles)

    def threads() -> int:
        return sum(one.is_alive() for _, one in consumer.worker_threads)

    def troubles() -> dict[str, str]:
        return {finding.code: finding.text for finding in report().findings if finding.queue == deaf.name}

    try:
        held = hang_two()
        assert quick.enqueue().result(timeout=60) == "quick"
        assert (len(pool.places.late), threads(), consumer.has_many_late) == (2, 4, True)
        assert [handle.state for handle in held] == ["active", "active"]
        wait_for(lambda: "jobs_past_timeout" in troubles())
        assert (reasons.RUN_ON % {"count": 2}) in troubles()["jobs_past_timeout"]
        # the new ones hang as well: then it is over, and another process is to take the place of this one
        held += hang_two()
        waits = quick.enqueue()
        assert (len(pool.places.late), threads()) == (2, 4)
        assert waits.state == "queued"
        # what hears at last has its result, and there is room for as many as before
        hear.set()
        assert [handle.result(timeout=60) for handle in held] == ["heard"] * 4
        assert waits.result(timeout=60) == "quick"
        wait_for(lambda: threads() == 2)  # those that came back were too many
        assert (len(pool.places.late), pool.held, pool.places.room(0)) == (0, 0, 2)
        wait_for(lambda: "jobs_past_timeout" not in troubles())
        hear.clear()
        held = hang_two()
        assert quick.enqueue().result(timeout=60) == "quick"
        assert (len(pool.places.late), threads()) == (2, 4)
    finally:
        hear.set()
        consumer.drain()
        thread.join(60)
    assert not thread.is_alive()


def test_a_worker_that_may_have_fewer_threads_than_places_were_filled_is_replaced(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "LATE_AFTER", 0.0)
    hear.clear()
    broker, record = get_broker(), ProcessRecord(clock.new_id(), "worker", deaf.name, "here", 1, 4)
    broker.register(record, 600)
    runners = Runners(deaf, record.id, [])  # of no use here, but they follow the limit, too
    consumer = QueueConsumer(deaf, broker, record.id, threads=4, grace=60, runners=runners)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    try:
        for number in (2, 1):  # two hang beside four places, and then one in the only place that is left
            hang_on.enqueue_many([()] * number)
            for _ in range(number):
                assert runs.acquire(timeout=60)
            wait_for(lambda: _all_late())
            late.tell_of_late(consumer.fill_place)
            if number == 2:
                assert (len(consumer.pool.places.late), consumer.has_many_late, runners._slots) == (2, False, 4)
                consumer.hold(QueueLimits(concurrency=1))
        assert (len(consumer.pool.places.late), consumer.has_many_late, runners._slots) == (2, True, 1)
    finally:
        hear.set()
        consumer.drain()
        thread.join(60)
    assert not thread.is_alive()


def test_a_thread_that_the_system_refuses_is_started_at_the_next_look(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, record = get_broker(), ProcessRecord(clock.new_id(), "worker", deaf.name, "here", 1, 1)
    broker.register(record, 600)
    consumer = QueueConsumer(deaf, broker, record.id, threads=1, grace=60)
    create, refused = consumer._create_process, []

    def refuse_once(worker: Any, name: str) -> threading.Thread:
        thread = create(worker, name)
        if name == "Worker-3" and not refused:
            refused.append(name)
            thread.start = refuse  # type: ignore[method-assign]
        return thread

    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(consumer, "_create_process", refuse_once)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    watch = LimitsWatch(broker, deaf.name)
    watch.begin(consumer.hold)
    try:
        broker.set_limits(deaf.name, QueueLimits(concurrency=4))
        wait_for(lambda: consumer.pool.places.threads == 4)
        assert refused == ["Worker-3"]
    finally:
        watch.end()
        consumer.drain()
        thread.join(60)
        watch.join(60)


def _all_late() -> bool:
    return all(job.time_left < 0 for job in late.running.values())
