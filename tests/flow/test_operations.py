"""What people do to jobs that wait for others, and to those that are waited for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import (
    Fixed,
    JobFilter,
    PermanentError,
    Queue,
    Subject,
    act_on,
    chain,
    current_job,
    dead_letters_by_cause,
    erase_jobs,
    examine,
    obliterate,
    retry_cause,
)
from jobs.keep import causes
from jobs.models import Edge, Job
from jobs.states import State

from .conftest import Flow

lane = Queue("flow_acts", attempts=1, backoff=Fixed(0))
other = Queue("flow_acts_too", attempts=1, backoff=Fixed(0))
broken: set[str] = set()


@lane.task(name="flow.awaited")
def awaited(text: str = "") -> str:
    if text in broken:
        raise PermanentError(f"{text} is broken")
    return text


@other.task(name="flow.waiting")
def waiting(text: str = "") -> list[str]:
    return [text, *(one.state for one in current_job().after)]


@pytest.fixture(autouse=True)
def nothing_broken() -> None:
    broken.clear()


def test_a_blocked_job_is_put_off_moved_up_and_given_other_arguments(flow: Flow) -> None:
    one = awaited.enqueue("a")
    job = waiting.using(after=[one]).enqueue("old")
    job.edit(text="new")
    job.set_priority(1)
    job.reschedule(delay=timedelta(hours=1))
    assert flow.state(job) == State.BLOCKED
    flow.work(lane)
    assert (flow.state(job), flow.work(other)) == (State.QUEUED, [])
    assert flow.row(job).priority == 1
    job.promote()
    assert flow.work(other) == ["waiting"]
    assert job.result() == ["new", "completed"]


def test_many_blocked_jobs_are_moved_up_and_cancelled_by_a_filter(flow: Flow) -> None:
    one = awaited.enqueue("a")
    jobs = [waiting.using(after=[one], tags=["import"]).enqueue() for _number in range(3)]
    assert act_on("set_priority", JobFilter(tag="import"), priority=2).done == 3
    assert {flow.row(job).priority for job in jobs} == {2}
    assert act_on("cancel", JobFilter(tag="import")).done == 3
    flow.work(lane)
    assert [flow.state(job) for job in jobs] == [State.CANCELLED] * 3


def test_nobody_waits_for_an_obliterated_queue(flow: Flow) -> None:
    one, two = awaited.enqueue("a"), awaited.enqueue("b")
    failing = waiting.using(after=[one]).enqueue()
    running = waiting.using(after=[one, two], on_failure="run").enqueue("so be it")
    obliterate(lane)
    assert flow.work(other) == ["waiting"]
    assert (flow.state(failing), running.result()) == (State.FAILED, ["so be it", "cancelled", "cancelled"])


def test_an_obliterated_queue_leaves_no_edges(flow: Flow) -> None:
    one = awaited.enqueue("a")
    waiting.using(after=[one]).enqueue()
    obliterate(other)
    assert not Edge.objects.exists()
    assert flow.work(lane) == ["awaited"]


def test_doctor_finds_who_waits_for_a_job_that_is_gone(flow: Flow) -> None:
    one = awaited.enqueue("a")
    job = waiting.using(after=[one], on_failure="run").enqueue("alone")
    assert [ailment.code for ailment in examine(other)] == []
    Job.objects.filter(pk=one.id).delete()
    assert [(found.code, found.count, found.mended) for found in examine(other)] == [("unfollowed", 1, False)]
    assert [(found.code, found.count, found.mended) for found in examine(other, mend=True)] == [("unfollowed", 1, True)]
    assert flow.work(other) == ["waiting"]
    assert job.result() == ["alone", "cancelled"]
    assert examine(other) == []


def test_a_retried_cause_begins_with_those_that_failed_before(flow: Flow) -> None:
    broken.add("a")
    first, last = chain(awaited.bind("a"), waiting.bind("z")).enqueue()
    flow.work(lane)
    assert (flow.state(first), flow.state(last)) == (State.FAILED, State.FAILED)
    broken.clear()
    causes.run()
    (cause,) = [cause.id for cause in dead_letters_by_cause(other)]
    assert retry_cause(cause).retried == 1
    assert flow.state(last) == State.BLOCKED
    assert (flow.work(lane), flow.work(other)) == (["awaited"], ["waiting"])
    assert last.result() == ["z", "completed"]


def test_what_a_waiting_job_read_of_an_erased_one_is_erased_too(flow: Flow) -> None:
    one = awaited.using(about=("flow.person", "7")).enqueue("ada@example.org")
    two = awaited.enqueue("mail to ada@example.org")
    waiting.using(after=[one, two]).enqueue()
    flow.work(lane)
    assert "ada@example.org" in (Edge.objects.get(awaited_id=one.id).result or "")
    erase_jobs([Subject("flow.person", "7")], ["ada@example.org"])
    assert "ada" not in "".join(str(edge.result) + edge.error for edge in Edge.objects.all())
