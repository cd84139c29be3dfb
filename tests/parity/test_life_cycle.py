"""What BullMQ's documentation promises of jobs that are there: guide "Jobs" and "Queues", API of `Job` and `Queue`."""

from __future__ import annotations

from datetime import timedelta

import pytest

import jobs
from jobs import Refused, UnknownJob
from tests.each_broker import claim
from tests.each_broker import each_broker as each_broker
from tests.life_cycle.lane import fail, lane, note, ran, run_jobs


@pytest.fixture(autouse=True)
def _lane_is_configured(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})
    ran.clear()


def names_run() -> list[str]:
    ran.clear()
    run_jobs()
    return [name for name, _number in ran]


def test_promote_makes_a_delayed_job_wait_and_refuses_one_that_is_not_delayed() -> None:
    """`job.promote()`: a delayed job is moved to waiting; throws if the job is not in the delayed set."""
    delayed, waiting = note.using(delay=60).enqueue("delayed"), note.enqueue("waiting")
    jobs.promote(delayed)
    assert delayed.shown_state == "waiting"
    with pytest.raises(Refused):
        jobs.promote(waiting)
    assert names_run() == ["waiting", "delayed"]


def test_change_delay_counts_from_the_call() -> None:
    """`job.changeDelay(ms)`: the job is due so long after the call."""
    handle = note.using(delay=3_600).enqueue("a")
    assert handle.reschedule(delay=0) == "changed"
    assert names_run() == ["a"]


def test_change_priority_reorders_what_waits() -> None:
    """`job.changePriority({priority: 1})`: it is taken before jobs of lower priority, behind those of its own."""
    first, second, third = (
        note.using(priority=priority).enqueue(name) for priority, name in ((1, "a"), (5, "b"), (9, "c"))
    )
    assert third.set_priority(1) == "changed"
    assert {first.job.priority, second.job.priority, third.job.priority} == {1, 5}
    assert names_run() == ["a", "c", "b"]


def test_update_data_is_what_the_worker_sees() -> None:
    """`job.updateData(data)`: replaces a job's data; the processor sees the new one."""
    handle = note.enqueue("old")
    assert handle.edit(name="new") == "changed"
    assert names_run() == ["new"]


def test_an_active_job_is_not_removed() -> None:
    """`job.remove()`: throws where the job is locked by a worker."""
    waiting = note.enqueue("a")
    claim(lane.name)
    with pytest.raises(Refused):
        jobs.discard(waiting)
    assert waiting.state == "active"


def test_a_removed_job_is_gone() -> None:
    waiting, done, failed = note.using(delay=60).enqueue("later"), note.enqueue("a"), fail.enqueue("bad")
    run_jobs()
    assert waiting.cancel() == "cancelled"
    assert failed.discard() == "discarded"
    for handle in (waiting, done, failed):
        assert handle.discard() == "removed"
        with pytest.raises(UnknownJob):
            _ = handle.state


def test_retry_moves_a_failed_job_to_waiting() -> None:
    """`job.retry()`: only a failed job; it starts again with its attempts anew."""
    handle = fail.enqueue("bad")
    run_jobs()
    handle.retry()
    assert (handle.state, handle.attempt) == ("queued", 0)
    with pytest.raises(Refused):
        handle.retry()


def test_a_paused_queue_ends_what_runs_and_starts_nothing() -> None:
    """`queue.pause()`: no new jobs are processed until it is resumed; those that wait stay."""
    handle = note.enqueue("a")
    jobs.pause(lane)
    assert names_run() == []
    assert handle.state == "queued"
    jobs.resume(lane)
    assert names_run() == ["a"]


def test_drain_leaves_delayed_jobs_unless_asked() -> None:
    """`queue.drain(delayed)`: removes what waits; with `true` also what is delayed."""
    waiting, delayed = note.enqueue("a"), note.using(delay=60).enqueue("b")
    assert jobs.drain(lane) == 1
    assert (waiting.state, delayed.state) == ("cancelled", "queued")
    assert jobs.drain(lane, "all-queued") == 1
    assert delayed.state == "cancelled"


def test_clean_removes_so_many_of_one_state_and_says_how_many() -> None:
    """`queue.clean(grace, limit, "completed")`: returns what was removed, at most `limit`."""
    for name in ("a", "b", "c"):
        note.enqueue(name)
    failed = fail.enqueue("bad")
    run_jobs()
    assert jobs.clean(lane, "completed", timedelta(hours=1)) == 0
    assert jobs.clean(lane, "completed", timedelta(0), limit=2) == 2
    assert jobs.clean(lane, "completed", timedelta(0)) == 1
    assert failed.state == "failed"
