"""A job past its timeout is told of, once, with the place where it hangs."""

from __future__ import annotations

import threading

import pytest

from jobs import Fixed, Queue
from jobs.work import late
from jobs.work.execution import execute
from tests.each_broker import claim

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
    begun.clear()
    go_on.clear()
    task.enqueue()  # type: ignore[attr-defined]
    (job,) = claim(lane.name)
    thread = threading.Thread(target=execute, args=[job, lane, job.id])
    thread.start()
    assert begun.wait(60)
    try:
        for _look in range(3):
            late.tell_of_late()
    finally:
        go_on.set()
        thread.join()
    told = [record.getMessage() for record in caplog.records if "past_timeout" in record.getMessage()]
    assert len(told) == times
    assert all("in hang" in text and f"id={job.id} task=late.hang" in text for text in told)
