"""What a person does to jobs and queues, with and without a transaction around it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from jobs import Fixed, PermanentError, Queue, cancel, clock, pause, promote, resume, retry
from jobs.broker import get_broker
from jobs.broker.records import CancelAnswer, ProcessRecord
from jobs.errors import Refused, UnknownJob, UnknownQueue
from jobs.models import Attempt, Job, QueueState
from jobs.operate.retry import dead_letters
from jobs.testing import run_jobs
from tests.counted import counted

pytestmark = pytest.mark.django_db(transaction=True)

lane = Queue("operations_lane", attempts=2, backoff=Fixed(60))
broken = True


@lane.task(name="operations.flaky")
def flaky(text: str = "") -> str:
    if broken:
        raise PermanentError("no luck")
    return text


@lane.task(name="operations.other")
def other() -> None: ...


@pytest.fixture
def user() -> User:
    return User.objects.create_user("olga@example.org")


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.broken", False)


def dead_letter(**options: object) -> UUID:
    handle = flaky.using(**options).enqueue("a")
    run_jobs()
    assert handle.state == "failed"
    return handle.id


def claim_one() -> UUID:
    worker = ProcessRecord(clock.new_id(), "worker", lane.name, "here", 1, 1)
    get_broker().register(worker, 30)
    return get_broker().exchange(worker.id, lane.policy, [], 1, number=1).jobs[0].id


def test_a_retried_dead_letter_begins_its_next_run_with_fresh_counters() -> None:
    job_id = dead_letter()
    Job.objects.filter(pk=job_id).update(lost=4, alone=True, starts=99)
    retry(job_id)
    job = Job.objects.get(pk=job_id)
    assert (job.state, job.run, job.attempts, job.starts, job.lost, job.alone) == ("queued", 2, 0, 0, 0, False)
    assert (job.ended_at, job.worker_id) == (None, None)
    assert job.ready_at <= clock.now()


@pytest.mark.usefixtures("mended")
def test_a_retried_dead_letter_completes_and_keeps_its_earlier_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.broken", True)
    job_id = dead_letter()
    monkeypatch.setattr(f"{__name__}.broken", False)
    retry(job_id)
    run_jobs()
    assert Job.objects.get(pk=job_id).state == "completed"
    outcomes = Attempt.objects.filter(job_id=job_id).order_by("pk").values_list("run", "outcome")
    assert list(outcomes) == [(1, "failed"), (2, "completed")]


def test_a_retry_is_refused_while_another_live_job_holds_the_key_and_leaves_a_dead_letter(user: User) -> None:
    job_id = dead_letter(key="k")
    holder = flaky.using(key="k", delay=60).enqueue("b")
    with pytest.raises(Refused, match=f"job {holder.id} holds the key 'k'"):
        retry(job_id, by=user)
    assert Job.objects.get(pk=job_id).state == "failed"
    assert LogEntry.objects.filter(object_id=str(job_id)).count() == 2
    cancel(holder.id)
    retry(job_id)
    assert Job.objects.get(pk=job_id).state == "queued"


def test_only_a_dead_letter_can_be_retried() -> None:
    handle = flaky.using(delay=60).enqueue()
    with pytest.raises(Refused, match="is scheduled: only a dead letter"):
        retry(handle.id)
    assert handle.job.run == 1


def test_a_retry_in_a_rolled_back_transaction_did_not_happen(user: User) -> None:
    job_id = dead_letter()
    with transaction.atomic():
        retry(job_id, by=user)
        transaction.set_rollback(True)
    job = Job.objects.get(pk=job_id)
    assert (job.state, job.run) == ("failed", 1)
    assert not LogEntry.objects.exists()


def test_a_retry_in_a_transaction_is_queued_after_its_commit() -> None:
    job_id = dead_letter()
    with transaction.atomic():
        retry(job_id)
        assert Job.objects.get(pk=job_id).state == "pending"
    assert Job.objects.get(pk=job_id).state == "queued"


def test_a_retry_that_the_broker_cannot_take_is_left_to_the_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = dead_letter()

    def away(ids: list[UUID]) -> int:
        raise ConnectionError("broker is away")

    monkeypatch.setattr("jobs.operate.retry.push_pending", away)
    retry(job_id)
    assert Job.objects.get(pk=job_id).state == "pending"


@pytest.mark.parametrize("inside", [True, False])
def test_a_waiting_job_is_cancelled_and_counted(user: User, inside: bool) -> None:
    handle = flaky.enqueue()
    if inside:
        with transaction.atomic():
            assert cancel(handle.id, by=user) is CancelAnswer.CANCELLED
    else:
        assert cancel(handle.id, by=user) is CancelAnswer.CANCELLED
    assert (handle.state, handle.job.reason) == ("cancelled", "cancelled by an operator")
    assert counted(lane.name) == {"cancelled": 1}
    assert LogEntry.objects.get().change_message == "Cancelled."


def test_a_pending_job_is_cancelled() -> None:
    with transaction.atomic():
        handle = flaky.using(key="k").enqueue()
        assert handle.state == "pending"
        assert cancel(handle.id) is CancelAnswer.CANCELLED
    assert run_jobs() == []
    assert handle.state == "cancelled"


def test_a_dead_letter_is_cancelled() -> None:
    job_id = dead_letter()
    assert cancel(job_id) is CancelAnswer.CANCELLED
    assert Job.objects.get(pk=job_id).state == "cancelled"


def test_a_running_job_is_asked_to_cancel(user: User) -> None:
    flaky.enqueue()
    job_id = claim_one()
    assert cancel(job_id, by=user) is CancelAnswer.ASKED
    job = Job.objects.get(pk=job_id)
    assert (job.state, job.cancel_requested) == ("active", True)
    assert LogEntry.objects.get().change_message == "Asked to cancel."


@pytest.mark.usefixtures("mended")
def test_an_ended_job_cannot_be_cancelled() -> None:
    handle = flaky.enqueue()
    run_jobs()
    with pytest.raises(Refused, match="is completed: it has ended"):
        cancel(handle.id)


@pytest.mark.usefixtures("mended")
def test_a_promoted_job_runs_now(user: User) -> None:
    handle = flaky.using(delay=timedelta(days=1)).enqueue("x")
    promote(handle.id, by=user)
    run_jobs()
    assert handle.state == "completed"
    assert LogEntry.objects.get().object_id == str(handle.id)


@pytest.mark.usefixtures("mended")
def test_a_pending_job_is_promoted() -> None:
    with transaction.atomic():
        handle = flaky.using(key="k", delay=3_600).enqueue("x")
        promote(handle.id)
    assert run_jobs() == [handle]


def test_a_job_that_is_due_or_runs_cannot_be_promoted() -> None:
    handle = flaky.enqueue()
    with pytest.raises(Refused, match="is waiting and due already"):
        promote(handle.id)
    claim_one()
    with pytest.raises(Refused, match="is active: only"):
        promote(handle.id)


@pytest.mark.parametrize("operation", [retry, cancel, promote])
def test_an_unknown_job_is_named(operation: object) -> None:
    missing = clock.new_id()
    with pytest.raises(UnknownJob, match=str(missing)):
        operation(missing)  # type: ignore[operator]


@pytest.mark.usefixtures("mended")
def test_a_paused_queue_starts_nothing_until_it_is_resumed(user: User) -> None:
    flaky.enqueue()
    pause(lane.name, by=user)
    assert run_jobs() == []
    assert QueueState.objects.get(queue=lane.name).paused
    resume(lane.name, by=user)
    assert len(run_jobs()) == 1
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == ["Paused.", "Resumed."]


def test_an_unknown_queue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownQueue, match="queue 'emial' is not defined; queues are: email"):
        pause("emial")


def test_a_queue_that_only_old_rows_know_can_be_resumed() -> None:
    flaky.enqueue()
    Job.objects.update(queue="gone_lane")
    pause("gone_lane")
    resume("gone_lane")


def test_dead_letters_are_listed_oldest_first_and_by_task() -> None:
    ids = [dead_letter() for _ in range(3)]
    assert dead_letters(lane.name) == ids
    assert dead_letters(lane.name, limit=2) == ids[:2]
    assert dead_letters(lane.name, other.name) == []


def test_an_operation_without_a_user_leaves_no_line_in_the_admins_log() -> None:
    cancel(flaky.enqueue().id)
    assert not LogEntry.objects.exists()


def test_cancelling_takes_a_handful_of_queries() -> None:
    handle = flaky.enqueue()
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        cancel(handle.id)
    assert len(queries) <= 6
