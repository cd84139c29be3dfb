"""G1 and G4: a job commits with the data, and one key has one live job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from jobs import JobHandle, Queue, clock
from jobs.define.task import Task
from jobs.enqueue import after_commit, outbox
from jobs.errors import InvalidArguments, InvalidOption, ResultTimeout, UnknownJob, WrongDatabase
from jobs.models import Job
from jobs.operate.retry import retry
from jobs.testing import run_jobs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def note(queue: Queue) -> Task:
    @queue.task(name="test.note")
    def note(text: str) -> str:
        return text

    return note


class Abandoned(Exception):
    """Rolls a block back."""


def test_a_job_outside_a_transaction_is_queued_when_enqueue_returns(note: Task) -> None:
    handle = note.enqueue("a")
    assert (handle.state, handle.created, handle.args) == ("queued", True, ["a"])


def test_a_job_of_a_committed_transaction_is_queued_at_once(note: Task) -> None:
    with transaction.atomic():
        Group.objects.create(name="sales")
        handle = note.enqueue("a")
    assert handle.state == "queued"


def test_a_job_of_a_rolled_back_transaction_leaves_nothing(note: Task) -> None:
    with pytest.raises(Abandoned), transaction.atomic():
        handle = note.enqueue("a")
        raise Abandoned
    with pytest.raises(UnknownJob):
        _ = handle.state
    assert not Job.objects.exists()


@pytest.mark.parametrize("inner_first", [True, False])
def test_a_rolled_back_savepoint_takes_its_job_along_and_leaves_the_outer_one(note: Task, inner_first: bool) -> None:
    with transaction.atomic():
        outer = None if inner_first else note.enqueue("outer")
        with pytest.raises(Abandoned), transaction.atomic():
            note.using(key="inner").enqueue("inner")
            raise Abandoned
        outer = outer or note.enqueue("outer")
    assert [job.args for job in Job.objects.all()] == [["outer"]]
    assert outer.state == "queued"


def test_a_committed_savepoint_in_a_rolled_back_transaction_leaves_nothing(note: Task) -> None:
    with pytest.raises(Abandoned), transaction.atomic():
        with transaction.atomic():
            note.enqueue("inner")
            note.using(key="k").enqueue("keyed")
        raise Abandoned
    assert not Job.objects.exists()


def test_an_inner_block_without_savepoint_that_fails_rolls_all_jobs_back(note: Task) -> None:
    with pytest.raises(Abandoned), transaction.atomic():
        note.enqueue("outer")
        with transaction.atomic(savepoint=False):
            note.using(key="k").enqueue("inner")
            raise Abandoned
    assert not Job.objects.exists()


def test_durable_blocks_take_jobs_too(note: Task) -> None:
    with transaction.atomic(durable=True):
        handle = note.using(key="k").enqueue("a")
    assert handle.state == "queued"


def test_with_autocommit_off_the_job_commits_with_the_caller(note: Task) -> None:
    connection.set_autocommit(False)
    try:
        rolled_back = note.enqueue("a")
        connection.rollback()
        plain = note.enqueue("b")
        keyed = note.using(key="k").enqueue("c")
        connection.commit()
    finally:
        connection.set_autocommit(True)
    with pytest.raises(UnknownJob):
        _ = rolled_back.state
    assert (plain.state, keyed.state) == ("queued", "pending")
    assert outbox.push_pending([keyed.id]) == 1
    assert keyed.state == "queued"


def test_with_autocommit_off_what_people_ask_for_rolls_back_with_the_caller(note: Task) -> None:
    waiting, dead = note.enqueue("a"), note.using(delay=60).enqueue("b")
    Job.objects.filter(pk=dead.id).update(state="failed")
    connection.set_autocommit(False)
    try:
        assert waiting.cancel() == "cancelled"
        retry(dead.id)
        assert (waiting.state, dead.state) == ("cancelled", "pending")
        connection.rollback()
    finally:
        connection.set_autocommit(True)
    assert (waiting.state, dead.state) == ("queued", "failed")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_enqueue_in_a_transaction_on_another_database_is_refused_and_names_it(note: Task) -> None:
    with transaction.atomic(using="other"), pytest.raises(WrongDatabase, match="'other'"):
        note.enqueue("a")
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_transaction_on_the_jobs_database_inside_one_on_another_is_fine(note: Task) -> None:
    with transaction.atomic(using="other"), transaction.atomic():
        handle = note.enqueue("a")
    assert handle.state == "queued"


def test_a_keyed_job_in_a_transaction_waits_for_the_commit_before_it_takes_the_key(note: Task) -> None:
    with transaction.atomic():
        handle = note.using(key="k").enqueue("a")
        assert (handle.created, handle.state) == (None, "pending")
    assert handle.state == "queued"


def test_outside_a_transaction_the_second_caller_gets_the_first_job(note: Task) -> None:
    first = note.using(key="k").enqueue("a")
    second = note.using(key="k").enqueue("b")
    assert (second.id, second.created) == (first.id, False)
    assert Job.objects.count() == 1


def test_inside_a_transaction_the_loser_of_a_key_ends_as_cancelled_and_names_the_winner(note: Task) -> None:
    first = note.using(key="k").enqueue("a")
    with transaction.atomic():
        loser = note.using(key="k").enqueue("b")
    assert loser.state == "cancelled"
    assert loser.job.reason == f"duplicate of {first.id}"


def test_two_keyed_jobs_of_one_transaction_leave_the_first(note: Task) -> None:
    with transaction.atomic():
        first = note.using(key="k").enqueue("a")
        second = note.using(key="k").enqueue("b")
    assert (first.state, second.state) == ("queued", "cancelled")


def test_the_same_key_on_another_queue_is_another_key(note: Task) -> None:
    other = Queue("other_lane")

    @other.task(name="test.other")
    def elsewhere() -> None: ...

    assert note.using(key="k").enqueue("a").created
    assert elsewhere.using(key="k").enqueue().created


def test_every_ending_frees_the_key(note: Task, queue: Queue, work: Callable[..., object]) -> None:
    first = note.using(key="k").enqueue("a")
    work(queue)
    assert first.state == "completed"
    second = note.using(key="k").enqueue("b")
    assert second.created
    assert second.cancel() == "cancelled"
    assert note.using(key="k").enqueue("c").created


def test_of_many_threads_with_one_key_exactly_one_creates_the_job(note: Task) -> None:
    handles: list[JobHandle] = []

    def enqueue() -> None:
        try:
            handles.append(note.using(key="k").enqueue("a"))
        finally:
            connection.close()

    threads = [threading.Thread(target=enqueue) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [handle.created for handle in handles].count(True) == 1
    assert len({handle.id for handle in handles}) == 1


def test_the_relay_pushes_what_a_dead_process_left_between_commit_and_wake_up(
    note: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(ids: object) -> None:
        raise SystemExit("the process ends here")

    monkeypatch.setattr(after_commit, "_push_committed", die)
    with pytest.raises(SystemExit), transaction.atomic():
        handle = note.using(key="k").enqueue("a")
    assert handle.state == "pending"
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    assert outbox.push_pending() == 1
    assert handle.state == "queued"


def test_a_failing_push_after_commit_does_not_reach_the_caller(note: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(ids: object = None) -> int:
        raise RuntimeError("no broker")

    with transaction.atomic():
        handle = note.using(key="k").enqueue("a")
        monkeypatch.setattr(after_commit, "push_pending", fail)
    assert handle.state == "pending"


def test_enqueue_many_checks_all_before_it_takes_any(note: Task) -> None:
    with pytest.raises(InvalidArguments):
        note.enqueue_many(["a", "b", 3])
    assert not Job.objects.exists()


def test_enqueue_many_returns_handles_in_order_over_several_trips(note: Task) -> None:
    handles = note.enqueue_many(str(i) for i in range(2_345))
    stored: dict[UUID, Job] = Job.objects.in_bulk()
    assert [stored[handle.id].args for handle in handles] == [[str(i)] for i in range(2_345)]


def test_enqueue_many_takes_tuples_and_dicts(note: Task) -> None:
    handles = note.enqueue_many([("a",), {"text": "b"}])
    assert [handle.args or handle.kwargs for handle in handles] == [["a"], {"text": "b"}] or [
        handle.args for handle in handles
    ] == [["a"], ["b"]]


def test_a_delay_counts_from_the_call_of_enqueue(note: Task) -> None:
    before = clock.now()
    handle = note.using(delay=timedelta(hours=1)).enqueue("a")
    job = handle.job
    assert timedelta(hours=1) <= job.ready_at - before < timedelta(hours=1, seconds=5)
    assert job.shown_state() == "scheduled"


NAIVE = datetime(2027, 1, 31, 9)  # noqa: DTZ001 - refused
SOON = datetime.now(UTC) + timedelta(hours=1)


def test_jobs_for_one_time_are_due_at_that_time_and_start_in_the_order_of_enqueue(
    each_database: str, note: Task
) -> None:
    at = datetime.now(ZoneInfo("America/Sao_Paulo")) + timedelta(hours=1)
    handles = [note.using(at=at).enqueue("a") for _ in range(3)]
    handles += note.using(at=at).enqueue_many(["a", "b", "c"])
    handles.append(note.schedule(("a",), eta=at))
    with transaction.atomic():
        handles.append(note.using(at=at).enqueue("in a transaction"))
        handles.append(note.using(at=at, key="k").enqueue("by the outbox"))
    assert {job.ready_at for job in Job.objects.all()} == {at}
    assert [handle.id for handle in run_jobs(until=at)] == [handle.id for handle in handles]


def test_a_time_that_is_past_means_now(each_database: str, note: Task) -> None:
    first = note.enqueue("a")
    past = [datetime.now(UTC) - timedelta(hours=1), datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))]
    handles = [note.using(at=at).enqueue("a") for at in past]
    with transaction.atomic():
        handles.append(note.using(at=past[0]).enqueue("a"))
    ready = [handle.job.ready_at for handle in (first, *handles)]
    assert ready == sorted(ready)
    assert len(run_jobs()) == 4


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"at": NAIVE}, "at=.*aware datetime"),
        ({"at": NAIVE.date()}, "at=.*aware datetime"),
        ({"at": "2027-01-31T09:00Z"}, "at='2027"),
        ({"at": datetime.now(UTC) + timedelta(days=366)}, "at most one year ahead"),
        ({"at": datetime.max.replace(tzinfo=UTC)}, "at most one year ahead"),
        ({"at": SOON, "delay": 5}, "give one"),
        ({"at": SOON, "delay": 0}, "give one"),
        ({"at": SOON, "expires": 60}, "never run"),
        ({"priority": 0}, "priority=0"),
        ({"priority": 11}, "priority=11"),
        ({"priority": True}, "priority=True"),
        ({"delay": -1}, "delay=-1"),
        ({"delay": timedelta(days=366)}, "delay="),
        ({"delay": "soon"}, "delay='soon'"),
        ({"key": ""}, "key=''"),
        ({"key": "k" * 201}, "key="),
        ({"key": 7}, "key=7"),
        ({"key": "a\0b"}, "key="),
        ({"key": "\udc80"}, "key="),
        ({"delay": float("nan")}, "delay=nan"),
        ({"about": ("leads.lead", "1" * 65)}, "64 of primary key"),
        ({"about": ("x" * 101, "1")}, "100 characters of label"),
        ({"about": ("leads.lead", "\udc80")}, "about="),
        ({"expires": 0}, "expires=0"),
        ({"expires": 5, "delay": 10}, "never run"),
        ({"about": "lead"}, "about='lead'"),
        ({"about": Group()}, "save the object first"),
    ],
)
def test_a_wrong_option_is_refused_and_named(note: Task, options: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidOption, match=named):
        note.using(**options)


def test_a_time_beside_a_delay_given_before_is_refused_too(note: Task) -> None:
    with pytest.raises(InvalidOption, match="give one"):
        note.using(delay=5).using(at=SOON)
    with pytest.raises(InvalidOption, match="give one"):
        note.using(at=SOON).using(delay=5)
    with pytest.raises(InvalidOption, match="either eta="):
        note.schedule(("a",), eta=SOON, delay=5)


def test_an_unknown_option_is_a_type_error(note: Task) -> None:
    with pytest.raises(TypeError):
        note.using(retries=3)


def test_the_object_that_a_job_is_about_is_kept_and_finds_the_job(note: Task) -> None:
    from jobs import jobs_about

    group = Group.objects.create(name="sales")
    handle = note.using(about=group).enqueue("a")
    note.enqueue("b")
    assert [job.id for job in jobs_about(group)] == [handle.id]


def test_the_result_of_a_job_that_has_not_ended_times_out(note: Task) -> None:
    handle = note.enqueue("a")
    with pytest.raises(ResultTimeout):
        handle.result(timeout=0.02)


def test_calling_the_task_enqueues_as_with_huey(note: Task) -> None:
    handle = note("a")
    assert isinstance(handle, JobHandle)
    assert handle.state == "queued"
