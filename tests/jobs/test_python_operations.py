"""What the command line does, in Python: what each call takes, answers and refuses; on both vendors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

import jobs
from jobs import Fixed, InvalidOption, JobHandle, PermanentError, Queue, Refused, UnknownJob, UnknownQueue, clock
from jobs.broker import get_broker
from jobs.models import Job
from jobs.testing import run_jobs

pytestmark = pytest.mark.usefixtures("each_database")

lane = Queue("surface_lane", attempts=2, backoff=Fixed(0))


@lane.task(name="surface.work")
def work(fail: bool = False) -> None:
    if fail:
        raise PermanentError("no luck")


@pytest.fixture(autouse=True)
def _lane_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})


def by_handle(handle: JobHandle) -> Any:
    return handle


def by_id(handle: JobHandle) -> Any:
    return handle.id


def by_text(handle: JobHandle) -> Any:
    return str(handle.id)


def by_row(handle: JobHandle) -> Any:
    return handle.job


@pytest.mark.parametrize("told", [by_handle, by_id, by_text, by_row])
def test_a_job_is_named_by_its_handle_its_id_or_its_row(told: Callable[[JobHandle], Any]) -> None:
    later = work.using(delay=timedelta(hours=1)).enqueue()
    assert (later.state, later.shown_state) == ("queued", "scheduled")
    jobs.promote(told(later))
    assert later.shown_state == "waiting"
    assert jobs.cancel(told(later)) == "cancelled"
    dead = work.enqueue(fail=True)
    run_jobs()
    jobs.retry(told(dead))
    assert dead.state == "queued"


@pytest.mark.parametrize("told", [lane, lane.name])
def test_a_queue_is_named_by_itself_or_its_name(told: Any) -> None:
    handle = work.enqueue()
    jobs.pause(told)
    assert jobs.counts(told).paused
    jobs.resume(told)
    assert not jobs.counts(told).paused
    assert jobs.drain(told, task=work, older_than=timedelta(0), dry_run=True) in (0, 1)
    assert jobs.drain(told, task=work) == 1
    assert handle.state == "cancelled"
    assert jobs.clean(told, "cancelled", timedelta(0)) == 1


@pytest.mark.parametrize("wrong", [None, 5, "not-a-uuid", "", b"x", object()])
@pytest.mark.parametrize("verb", [jobs.retry, jobs.cancel, jobs.promote])
def test_what_is_no_job_is_refused_by_name(verb: Callable[[Any], object], wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="expected a JobHandle, or a job's id"):
        verb(wrong)


@pytest.mark.parametrize("verb", [jobs.retry, jobs.cancel, jobs.promote])
def test_a_job_that_is_not_there_is_unknown(verb: Callable[[Any], object]) -> None:
    with pytest.raises(UnknownJob):
        verb(uuid4())


@pytest.mark.parametrize("verb", [jobs.pause, jobs.resume, jobs.drain, jobs.counts])
def test_what_is_no_queue_is_refused_and_a_misspelt_one_is_unknown(verb: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidOption, match="expected a Queue or its name"):
        verb(5)
    with pytest.raises(UnknownQueue, match="'emial' is not defined"):
        verb("emial")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"state": "active"}, "what can be drained"),
        ({"older_than": 5}, "expected a timedelta"),
        ({"older_than": timedelta(seconds=-1)}, "expected a timedelta, not below 0"),
        ({"limit": 0}, "whole number of at least 1"),
        ({"limit": True}, "whole number of at least 1"),
        ({"task": 5}, "expected a task or its name"),
        ({"task": "surface.wrok"}, "is not defined; tasks are"),
    ],
)
def test_drain_refuses_a_wrong_option(options: dict[str, Any], said: str) -> None:
    work.enqueue()
    with pytest.raises((InvalidOption, jobs.UnknownTask), match=said):
        jobs.drain(lane, **options)
    assert jobs.counts(lane).waiting == 1


def test_dead_letters_are_told_by_queue_and_task() -> None:
    first, second = work.enqueue(fail=True), work.enqueue(fail=True)
    run_jobs()
    assert jobs.dead_letters(lane) == jobs.dead_letters(lane.name, work) == [first.id, second.id]
    assert jobs.dead_letters(lane, work.name, limit=1) == [first.id]
    for wrong in ({"limit": 0}, {"task": 5}):
        with pytest.raises(InvalidOption):
            jobs.dead_letters(lane, **wrong)  # type: ignore[arg-type]


def test_the_jobs_of_a_task_that_no_code_defines_any_more_can_be_drained() -> None:
    gone = work.enqueue()
    Job.objects.filter(pk=gone.id).update(task="surface.gone")
    assert jobs.drain(lane, task="surface.gone") == 1


def test_a_handle_is_made_again_of_an_id_or_its_text() -> None:
    handle = work.enqueue()
    assert JobHandle(str(handle.id)) == JobHandle(handle.id) == handle
    with pytest.raises(InvalidOption, match="job 'x': expected a JobHandle, or a job's id"):
        JobHandle("x")


def test_what_a_job_s_state_does_not_allow_is_refused() -> None:
    handle = work.enqueue()
    with pytest.raises(Refused, match="only a dead letter"):
        jobs.retry(handle)
    with pytest.raises(Refused, match="due already"):
        jobs.promote(handle)
    run_jobs()
    with pytest.raises(Refused, match="has ended and cannot be cancelled"):
        jobs.cancel(handle)


def test_counts_are_exact_also_for_jobs_that_are_not_there_any_more() -> None:
    for fail in (False, False, False, True):
        work.enqueue(fail=fail)
    jobs.cancel(work.enqueue())
    run_jobs()
    assert jobs.clean(lane, "completed", timedelta(0)) == 3
    work.enqueue()
    work.using(delay=60).enqueue()
    seen = jobs.counts(lane)
    assert (seen.queue, seen.completed, seen.failed, seen.cancelled, seen.dead_letters) == (lane.name, 3, 1, 1, 1)
    assert (seen.waiting, seen.scheduled, seen.active, seen.pending, seen.paused) == (1, 1, 0, 0, False)
    out = StringIO()
    call_command("jobs", "status", "--json", stdout=out)
    (told,) = json.loads(out.getvalue())["queues"]
    totals = ("completed", "failed", "cancelled", "expired", "retried", "lost", "discarded")
    assert told["since_ever"] == {name: getattr(seen, name) for name in totals}
    assert seen.oldest_ready_at is not None
    assert abs((clock.now() - seen.oldest_ready_at).total_seconds()) < 60
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen.waiting = 0  # type: ignore[misc]


def test_counts_go_on_where_the_lists_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.broker.database.shared.COUNT_LIMIT", 10)
    work.enqueue_many([()] * 12)
    work.using(delay=60).enqueue_many([()] * 11)
    seen = jobs.counts(lane)
    assert get_broker().counts(lane.name).waiting == 10
    assert (seen.waiting, seen.scheduled) == (12, 11)
