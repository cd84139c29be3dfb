"""What happens to a claimed job: outcomes, attempts, isolation, atomic tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone, translation

from jobs import (
    Cancelled,
    Exponential,
    Fixed,
    JobFailed,
    PermanentError,
    Queue,
    RetryLater,
    clock,
    current_job,
    signals,
)
from jobs.broker import get_broker
from jobs.broker.records import Completed, Failed, GivenUp, HandedBack, ProcessRecord, Retried, Settlement
from jobs.models import Attempt, Job
from jobs.signals import JobSnapshot
from jobs.work import execution, start
from tests.contract.hands import QUEUES

pytestmark = pytest.mark.django_db(transaction=True)
Work = Callable[..., list[Settlement]]


def test_a_task_that_returns_completes_the_job_with_its_result(queue: Queue, work: Work) -> None:
    @queue.task()
    def add(a: int, b: int) -> int:
        return a + b

    handle = add.enqueue(2, b=3)
    work(queue)
    assert (handle.state, handle.result(timeout=0), handle.attempt) == ("completed", 5, 1)


def test_a_failing_job_is_tried_as_often_as_the_policy_says_and_is_then_a_dead_letter(queue: Queue, work: Work) -> None:
    @queue.task()
    def broken() -> None:
        raise ValueError("no luck")

    handle = broken.enqueue()
    assert [type(done.outcome) for done in work(queue)] == [Retried, Retried, Failed]
    assert (handle.state, handle.attempt, handle.error) == ("failed", 3, "ValueError: no luck")
    attempts = list(Attempt.objects.filter(job_id=handle.id))
    assert [(attempt.number, attempt.outcome) for attempt in attempts] == [(1, "failed"), (2, "failed"), (3, "failed")]
    assert "raise ValueError" in attempts[0].traceback
    with pytest.raises(JobFailed, match="no luck"):
        handle.result(timeout=0)


def test_the_backoff_of_the_policy_sets_when_a_failed_job_is_due_again(work: Work) -> None:
    queue = Queue("test_lane", attempts=3, backoff=Exponential(2))

    @queue.task()
    def broken() -> None:
        raise ValueError

    handle, before = broken.enqueue(), clock.now()
    [done] = work(queue)
    assert done.outcome == Retried(2, done.outcome.error, done.outcome.traceback)  # type: ignore[union-attr]
    assert before + timedelta(seconds=2) < handle.job.ready_at <= clock.now() + timedelta(seconds=2)
    assert handle.job.shown_state() == "retrying"


def test_a_permanent_error_goes_straight_to_the_dead_letters(queue: Queue, work: Work) -> None:
    @queue.task()
    def refused() -> None:
        raise PermanentError("the address does not exist")

    handle = refused.enqueue()
    work(queue)
    assert (handle.state, handle.attempt) == ("failed", 1)


def test_retry_later_burns_no_attempt(queue: Queue, work: Work) -> None:
    seen: list[int] = []

    @queue.task()
    def busy() -> None:
        seen.append(current_job().attempt)
        if len(seen) < 5:
            raise RetryLater(0)

    handle = busy.enqueue()
    work(queue)
    assert (seen, handle.state) == ([1, 1, 1, 1, 1], "completed")


def test_a_job_that_always_asks_for_later_ends_after_a_hundred_starts(queue: Queue, work: Work) -> None:
    @queue.task()
    def busy() -> None:
        raise RetryLater(0)

    handle = busy.enqueue()
    done = work(queue, 150)
    assert len(done) == start.MAX_STARTS
    assert (handle.state, "100 times" in handle.error) == ("failed", True)


def test_a_task_that_agrees_to_cancel_is_not_retried(queue: Queue, work: Work) -> None:
    @queue.task()
    def long() -> None:
        assert handle.cancel() == "asked"
        raise Cancelled("stopped half way")

    handle = long.enqueue()
    work(queue)
    assert handle.state == "cancelled"


def test_a_cancelled_running_job_that_fails_is_not_retried(queue: Queue, work: Work) -> None:
    @queue.task()
    def long() -> None:
        handle.cancel()
        raise ValueError

    handle = long.enqueue()
    work(queue)
    assert handle.state == "cancelled"


def test_system_exit_in_a_task_is_its_failure_and_not_the_workers_end(queue: Queue, work: Work) -> None:
    @queue.task(attempts=1)
    def leave() -> None:
        raise SystemExit(3)

    handle = leave.enqueue()
    work(queue)
    assert (handle.state, handle.error) == ("failed", "SystemExit: 3")


def test_a_result_that_is_no_json_is_a_dead_letter_and_not_a_second_try(queue: Queue, work: Work) -> None:
    @queue.task()
    def wrong() -> object:
        return object()

    handle = wrong.enqueue()
    work(queue)
    assert (handle.state, handle.attempt) == ("failed", 1)
    assert "cannot be written as JSON" in handle.error


def test_a_task_that_this_code_does_not_know_goes_back_and_burns_nothing(queue: Queue, work: Work) -> None:
    @queue.task(name="test.new")
    def new() -> None: ...

    handle, before = new.enqueue(), clock.now()
    older = Queue("test_lane")
    [done] = work(older)
    assert isinstance(done.outcome, HandedBack)
    job = handle.job
    assert (job.state, job.attempts, job.unknown_since is not None) == ("queued", 0, True)
    assert before + timedelta(seconds=5) < job.ready_at <= clock.now() + timedelta(seconds=5)
    Job.objects.update(ready_at=clock.now())
    work(queue)
    assert handle.state == "completed"


def test_a_task_unknown_for_too_long_is_a_dead_letter_that_says_so(queue: Queue, work: Work) -> None:
    @queue.task(name="test.new")
    def new() -> None: ...

    handle = new.enqueue()
    older = Queue("test_lane")
    work(older)
    Job.objects.update(ready_at=clock.now(), unknown_since=clock.now() - timedelta(seconds=901))
    work(older)
    assert handle.state == "failed"
    assert "'test.new' is not known" in handle.error
    assert handle.attempt == 0


def test_arguments_that_no_longer_fit_go_back_like_an_unknown_task(queue: Queue, work: Work) -> None:
    newer = Queue("test_lane")

    @newer.task(name="test.task")
    def after(a: int, b: int) -> None: ...

    @queue.task(name="test.task")
    def before(a: int) -> None: ...

    handle = after.enqueue(1, 2)
    [done] = work(queue)
    assert isinstance(done.outcome, HandedBack)
    assert handle.state == "queued"


def test_a_job_whose_time_has_passed_expires_without_a_start(queue: Queue, work: Work) -> None:
    started: list[int] = []

    @queue.task()
    def late() -> None:
        started.append(1)

    handle = late.using(expires=60).enqueue()
    Job.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    work(queue)
    get_broker().reap(QUEUES)
    assert (handle.state, started) == ("expired", [])


def test_language_and_time_zone_of_a_job_do_not_leak_into_the_next(queue: Queue, work: Work) -> None:
    seen: list[tuple[str, str]] = []

    @queue.task()
    def leak() -> None:
        seen.append((translation.get_language() or "", timezone.get_current_timezone_name()))
        translation.activate("pt-br")
        timezone.activate("America/Sao_Paulo")

    leak.enqueue_many([(), ()])
    work(queue)
    assert seen[0] == seen[1]


def test_a_transaction_that_a_task_left_open_is_rolled_back(queue: Queue, work: Work) -> None:
    @queue.task()
    def careless() -> None:
        connection.set_autocommit(False)
        Group.objects.create(name="never committed")

    handle = careless.enqueue()
    work(queue)
    assert handle.state == "completed"
    assert connection.get_autocommit()
    assert not Group.objects.exists()


def test_the_idempotency_key_is_the_same_for_every_attempt(queue: Queue, work: Work) -> None:
    keys: list[str] = []

    @queue.task()
    def broken() -> None:
        keys.append(current_job().idempotency_key)
        raise ValueError

    broken.enqueue()
    work(queue)
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_the_running_job_tells_of_itself(queue: Queue, work: Work) -> None:
    seen: list[tuple[object, ...]] = []

    @queue.task(attempts=2, backoff=Fixed(0))
    def tell() -> None:
        job = current_job()
        seen.append((job.id, job.queue, job.task, job.run, job.key, job.about, job.attempt, job.starts, job.lost))
        raise RetryLater(0) if job.starts == 1 else ValueError

    handle = tell.using(key="lead 7", about=("leads.lead", "7")).enqueue()
    while handle.state == "queued":
        work(queue)
    one = (handle.id, queue.name, tell.name, 1, "lead 7", ("leads.lead", "7"))
    assert seen == [(*one, 1, 1, 0), (*one, 1, 2, 0), (*one, 2, 3, 0)]


def test_current_job_outside_a_task_is_a_clear_error() -> None:
    with pytest.raises(LookupError, match="outside a task"):
        current_job()


def test_jobs_enqueued_in_a_task_know_their_parent_and_its_event(queue: Queue, work: Work) -> None:
    @queue.task()
    def child() -> None: ...

    @queue.task()
    def parent() -> None:
        child.enqueue()

    handle = parent.enqueue()
    work(queue)
    assert Job.objects.get(task=child.name).parent_id == handle.id


def test_personal_arguments_are_masked_in_errors(queue: Queue, work: Work) -> None:
    @queue.task(personal=("message",), attempts=1)
    def send(message: str) -> None:
        raise ValueError(f"cannot send {message!r}")

    handle = send.enqueue("call me on 11 98765 4321")
    work(queue)
    attempt = Attempt.objects.get(job_id=handle.id)
    assert "98765" not in handle.error + attempt.error + attempt.traceback
    assert "cannot send" in handle.error


def test_signals_tell_of_completion_retry_and_failure(queue: Queue, work: Work) -> None:
    seen: list[tuple[str, JobSnapshot]] = []

    def heard(name: str) -> Callable[..., None]:
        def receiver(sender: object, job: JobSnapshot, **kwargs: object) -> None:
            assert sender is queue
            seen.append((name, job))

        return receiver

    receivers = {name: heard(name) for name in ("job_completed", "job_retrying", "job_failed")}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)

    @queue.task()
    def fine() -> None: ...

    @queue.task(attempts=2)
    def broken() -> None:
        raise ValueError

    try:
        done = fine.using(about=("leads.lead", "7")).enqueue()
        broken.enqueue()
        work(queue)
    finally:
        for name, receiver in receivers.items():
            getattr(signals, name).disconnect(receiver)
    assert sorted(name for name, _job in seen) == ["job_completed", "job_failed", "job_retrying"]
    told = dict(seen)
    assert (told["job_retrying"].attempt, told["job_failed"].attempt, told["job_failed"].starts) == (1, 2, 2)
    job = told["job_completed"]
    assert (job.id, job.queue, job.task, job.about) == (done.id, queue.name, fine.name, ("leads.lead", "7"))
    assert job.started_at is not None
    assert job.ended_at is not None
    assert job.ready_at <= job.started_at <= job.ended_at
    with pytest.raises(FrozenInstanceError):
        job.task = "other"  # type: ignore[misc]


@pytest.mark.parametrize("error", [ValueError("no"), RetryLater(5)], ids=["failed", "asked for later"])
def test_no_retry_is_announced_of_a_job_that_ends_as_cancelled(queue: Queue, work: Work, error: Exception) -> None:
    seen: list[object] = []

    def hear(**kwargs: object) -> None:
        seen.append(kwargs)

    @queue.signal()
    def any_signal(signal: str, task: object, *args: object) -> None:
        seen.append(signal)

    @queue.task()
    def long() -> None:
        handle.cancel()
        raise error

    handle = long.enqueue()
    signals.job_retrying.connect(hear)
    try:
        work(queue)
    finally:
        signals.job_retrying.disconnect(hear)
    assert handle.state == "cancelled"
    assert seen == ["executing", "canceled"]


def test_hueys_hooks_and_signals_still_work(queue: Queue, work: Work) -> None:
    seen: list[str] = []

    @queue.pre_execute()
    def before(task: object) -> None:
        seen.append("before")

    @queue.post_execute()
    def after(task: object, value: object, error: object) -> None:
        seen.append(f"after {value}")

    @queue.signal()
    def any_signal(signal: str, task: object, *args: object) -> None:
        seen.append(signal)

    @queue.task()
    def fine() -> int:
        return 7

    fine.enqueue()
    work(queue)
    assert seen == ["before", "executing", "after 7", "complete"]


def test_call_runs_in_this_process_with_the_types_of_the_signature(queue: Queue) -> None:
    @queue.task()
    def kind(key: UUID) -> str:
        assert current_job().attempt == 1
        return type(key).__name__

    assert kind.call(str(clock.new_id())) == "UUID"
    assert not Job.objects.exists()


def test_a_job_of_a_limited_queue_that_could_not_start_in_time_is_handed_back(work: Work) -> None:
    from jobs import RateLimit

    queue = Queue("test_lane", rate_limit=RateLimit(100, per=1))
    started: list[int] = []

    @queue.task()
    def fast() -> None:
        started.append(1)

    handle = fast.enqueue()
    broker = get_broker()
    worker = ProcessRecord(clock.new_id(), "worker", "test_lane", "host", 1, 1)
    broker.register(worker, 30)
    [claimed] = broker.exchange(worker.id, queue.policy, [], 1, number=1).jobs
    from msgspec.structs import replace

    assert claimed.start_by is not None
    late = replace(claimed, start_by=clock.monotonic())
    settlement = execution.execute(late, queue, worker.id)
    assert settlement is not None
    assert isinstance(settlement.outcome, HandedBack)
    assert not started
    assert broker.exchange(worker.id, queue.policy, [settlement], 0, number=2).settled[0].counted
    assert handle.state == "queued"


def test_nothing_inside_a_transaction_waits_for_a_result(queue: Queue) -> None:
    from jobs.errors import Refused

    @queue.task()
    def fine() -> None: ...

    with transaction.atomic():
        handle = fine.enqueue()
        with pytest.raises(Refused, match="after commit"):
            handle.result(timeout=5)


def test_a_cancelled_waiting_job_never_starts(queue: Queue, work: Work) -> None:
    @queue.task()
    def fine() -> None:
        raise AssertionError("started")

    handle = fine.enqueue()
    assert handle.cancel() == "cancelled"
    assert work(queue) == []
    assert handle.cancel() == "ended"


def test_outcomes_are_values_that_compare() -> None:
    assert Completed("1") == Completed("1")
    assert GivenUp("a") != GivenUp("b")
