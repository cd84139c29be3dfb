"""What tasks do that nobody expects: the worker goes on, the job ends, and what is kept can be read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction
from huey.exceptions import RetryTask

from jobs import Queue, RetryLater, clock, signals
from jobs.broker.records import Settlement
from jobs.models import Attempt, Job
from jobs.work import execution, start

pytestmark = pytest.mark.django_db(transaction=True)
Work = Callable[..., list[Settlement]]


def kept_texts() -> str:
    """All that is kept of all failures."""
    jobs = [job.error + job.reason for job in Job.objects.all()]
    return "".join([*jobs, *(attempt.error + attempt.traceback for attempt in Attempt.objects.all())])


def test_an_exception_that_cannot_say_its_text_uses_up_its_attempts(queue: Queue, work: Work) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise Mute

    @queue.task()
    def broken() -> None:
        raise Mute

    handle = broken.enqueue()
    work(queue)
    assert (handle.state, handle.attempt) == ("failed", 3)
    assert handle.error == "Mute: <its text cannot be read: Mute>"


@pytest.mark.parametrize("text", ["lone \udc80 surrogate", "a \0 NUL"])
def test_an_error_that_no_database_takes_is_kept_in_another_spelling_and_tried_again(
    queue: Queue, work: Work, text: str
) -> None:
    starts: list[int] = []

    @queue.task()
    def broken() -> None:
        starts.append(1)
        raise RetryLater(0, reason=text) if len(starts) == 1 else ValueError(text)

    handle = broken.enqueue()
    work(queue)
    assert (handle.state, handle.attempt) == ("failed", 3)
    assert "\0" not in kept_texts()
    assert "\\udc80" in handle.error or "\\x00" in handle.error


def test_an_error_is_one_line_so_that_it_cannot_forge_lines_of_the_log(
    queue: Queue, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    @queue.task(attempts=1)
    def broken() -> None:
        raise ValueError("one\njob_failed id=42")

    handle = broken.enqueue()
    work(queue)
    assert handle.error == "ValueError: one job_failed id=42"
    assert not [line for line in caplog.messages if "\n" in line]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("secret " * 1_000, "secret " * 1_000),
        ("first line\nthe secret", repr("first line\nthe secret")),
        ({"phone": ["the secret"]}, "cannot call the secret"),
    ],
)
def test_personal_arguments_are_masked_whole_quoted_and_inside_others(
    queue: Queue, work: Work, value: object, said: str
) -> None:
    @queue.task(personal=("message",), attempts=1)
    def send(message: object) -> None:
        raise ValueError(said)

    send.enqueue(value)
    work(queue)
    assert "ValueError" in kept_texts()
    assert "secret" not in kept_texts()


def test_a_job_that_never_ends_by_itself_is_a_dead_letter_after_a_hundred_starts(queue: Queue, work: Work) -> None:
    @queue.task()
    def fine() -> None:
        raise AssertionError("started")

    handle = fine.enqueue()
    Job.objects.update(starts=start.MAX_STARTS)
    work(queue)
    assert (handle.state, handle.attempt) == ("failed", 0)
    assert "100 times without an end" in handle.error


def test_a_commit_that_fails_every_time_ends_as_a_dead_letter(
    queue: Queue, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "COMMIT_DELAY", 0.0)
    monkeypatch.setattr(start, "MAX_STARTS", 5)

    @queue.task(atomic=True)
    def create() -> None:
        Group.objects.create(name="sales")
        connection._commit = fail  # type: ignore[attr-defined]

    def fail() -> None:
        del connection._commit  # type: ignore[attr-defined]
        raise OperationalError("disk full")

    handle = create.enqueue()
    work(queue)
    assert (handle.state, handle.job.starts) == ("failed", 5)
    assert not Group.objects.exists()


def test_a_hook_that_fails_after_the_commit_changes_nothing_of_the_jobs_end(
    queue: Queue, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    completed: list[object] = []

    def note(**kwargs: object) -> None:
        completed.append(kwargs["job"])

    @queue.task(atomic=True)
    def create() -> None:
        Group.objects.create(name="sales")
        transaction.on_commit(fail)

    def fail() -> None:
        raise ValueError("too late")

    signals.job_completed.connect(note)
    try:
        handle = create.enqueue()
        assert work(queue) == []
    finally:
        signals.job_completed.disconnect(note)
    assert (handle.state, handle.attempt, len(completed)) == ("completed", 1, 1)
    assert "after_commit_failed" in caplog.text


def test_an_atomic_task_that_deletes_its_own_row_fails_and_is_not_held_for_ever(queue: Queue, work: Work) -> None:
    @queue.task(atomic=True, attempts=2)
    def careless() -> None:
        Job.objects.all().delete()

    handle = careless.enqueue()
    work(queue)
    assert (handle.state, handle.attempt) == ("failed", 2)


def test_a_block_that_a_task_never_left_is_rolled_back_and_holds_nothing(queue: Queue, work: Work) -> None:
    @queue.task()
    def leak() -> None:
        transaction.atomic().__enter__()
        Group.objects.create(name="never committed")

    @queue.task()
    def fine() -> None: ...

    leaky, next_one = leak.enqueue(), fine.enqueue()
    try:
        work(queue)
        assert not connection.in_atomic_block
    finally:
        connection.close()
        connection.connect()
    assert (leaky.state, next_one.state) == ("completed", "completed")
    assert not Group.objects.exists()


def test_hueys_own_retry_keeps_its_time_and_a_wrong_one_is_now(queue: Queue, work: Work) -> None:
    starts: list[int] = []

    @queue.task()
    def later() -> None:
        starts.append(1)
        raise RetryTask(delay=-5) if len(starts) == 1 else RetryTask(eta=clock.now() + timedelta(hours=1))

    handle = later.enqueue()
    work(queue)
    assert len(starts) == 2
    assert timedelta(minutes=59) < handle.job.ready_at - clock.now() <= timedelta(hours=1)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, SystemExit])
def test_what_would_end_a_thread_is_only_a_failure(queue: Queue, work: Work, kind: type[BaseException]) -> None:
    @queue.task(attempts=1)
    def leave() -> None:
        raise kind

    handle = leave.enqueue()
    work(queue)
    assert (handle.state, handle.error) == ("failed", kind.__name__)


def test_a_huge_error_is_kept_in_part(queue: Queue, work: Work) -> None:
    @queue.task(attempts=1)
    def loud() -> None:
        raise ExceptionGroup("many", [ValueError("x" * 10_000) for _ in range(50)])

    handle = loud.enqueue()
    work(queue)
    assert handle.state == "failed"
    assert 30_000 < len(Attempt.objects.get().traceback) < 33_000


def test_a_receiver_that_exits_does_not_take_the_worker_along(
    queue: Queue, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(**kwargs: object) -> None:
        raise SystemExit

    @queue.task()
    def fine() -> None: ...

    signals.job_completed.connect(leave)
    try:
        handles = [fine.enqueue(), fine.enqueue()]
        work(queue)
    finally:
        signals.job_completed.disconnect(leave)
    assert [handle.state for handle in handles] == ["completed", "completed"]
    assert "signal_receiver_left" in caplog.text


def test_what_a_receiver_enqueues_belongs_to_no_job_after_plain_and_atomic_tasks(queue: Queue, work: Work) -> None:
    @queue.task()
    def follow() -> None: ...

    @queue.task()
    def plain() -> None: ...

    @queue.task(atomic=True)
    def atomic() -> None: ...

    def enqueue(job: object, **kwargs: object) -> None:
        if getattr(job, "task", "") != follow.name:
            follow.enqueue()

    signals.job_completed.connect(enqueue)
    try:
        plain.enqueue()
        atomic.enqueue()
        work(queue)
    finally:
        signals.job_completed.disconnect(enqueue)
    followers = Job.objects.filter(task=follow.name)
    assert list(followers.values_list("state", "parent_id")) == [("completed", None)] * 2
