"""Raw job rows: what the ORM reads is what was written, and the outbox moves only what is pending."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection, transaction

from jobs import clock
from jobs.broker.database import pending, rows, values
from jobs.broker.records import NewJob
from jobs.errors import IllegalMove
from jobs.models import Job
from jobs.states import State
from tests.counted import counted

pytestmark = pytest.mark.django_db
WHOLE_SECOND = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def new_job(**options):
    return NewJob(
        **{"id": clock.new_id(), "queue": "lane", "task": "app.task", "message": "{}", "priority": 0, **options}
    )


def insert(*jobs, state=State.PENDING):
    return rows.insert_rows(connection, jobs, state)


def test_the_orm_reads_what_was_inserted():
    event_id, parent_id = clock.new_id(), clock.new_id()
    job = new_job(
        message='{"é": 1}', priority=60, key="k", delay=60, expires_in=120, event="e", event_id=event_id,
        about=("leads.lead", "7"), parent_id=parent_id,
    )  # fmt: skip
    (ready_at,) = insert(job)
    row = Job.objects.get(id=job.id)
    assert (row.state, row.queue, row.task, row.message, row.priority) == ("pending", "lane", "app.task", '{"é": 1}', 2)
    assert (row.key, row.event, row.event_id, row.parent_id) == ("k", "e", event_id, parent_id)
    assert (row.about_type, row.about_id) == ("leads.lead", "7")
    assert row.ready_at == ready_at == row.created_at + timedelta(seconds=60)
    assert row.expires_at == row.created_at + timedelta(seconds=120)
    assert (row.alone, row.cancel_requested, row.result, row.error) == (False, False, None, "")


def test_the_orm_finds_rows_by_the_moment_that_was_written():
    moment = WHOLE_SECOND + timedelta(microseconds=120)
    insert(new_job(ready_at=moment))
    assert Job.objects.filter(ready_at=moment).count() == 1
    assert Job.objects.filter(ready_at__gt=moment).count() == 0


def test_moments_sort_as_text_whatever_their_fraction_and_zone():
    moments = [WHOLE_SECOND + timedelta(microseconds=micro) for micro in (0, 1, 10, 999_999, 1_000_000)]
    texts = [values.text_of(moment.astimezone(timezone(timedelta(hours=-3)))) for moment in moments]
    assert texts == sorted(texts)
    assert [values.moment_of(text) for text in texts] == moments


def test_a_rolled_back_savepoint_leaves_no_row():
    kept, gone = new_job(), new_job()
    with transaction.atomic():
        insert(kept)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            insert(gone)
            raise ZeroDivisionError
    assert [job.id for job in pending.read_pending(connection)] == [kept.id]


def test_jobs_are_new_only_as_pending_or_queued():
    with pytest.raises(IllegalMove):
        insert(new_job(), state=State.ACTIVE)


def test_the_outbox_is_read_oldest_first_as_it_was_accepted():
    jobs = [new_job(delay=30, key="k", expires_in=60, about=("a.b", "1")), new_job()]
    ready = insert(*jobs)
    insert(new_job(), state=State.QUEUED)
    first, second = pending.read_pending(connection)
    assert (first.id, second.id) == (jobs[0].id, jobs[1].id)
    assert (first.ready_at, first.run, first.key, first.about) == (ready[0], 1, "k", ("a.b", "1"))
    assert first.expires_at == ready[0] + timedelta(seconds=30)


def test_the_outbox_can_be_read_by_id_age_and_number():
    jobs = [new_job() for _ in range(3)]
    insert(*jobs)
    assert [job.id for job in pending.read_pending(connection, [jobs[1].id])] == [jobs[1].id]
    assert pending.read_pending(connection, []) == []
    assert pending.read_pending(connection, None, 60) == []
    assert len(pending.read_pending(connection, None, 0.0, 2)) == 2


@pytest.mark.parametrize("state", [State.CANCELLED, State.EXPIRED, State.FAILED])
def test_a_pending_job_ends_once(state):
    job = new_job()
    insert(job)
    assert pending.end_pending(connection, job.id, 2, state, "of another run") is False
    assert pending.end_pending(connection, job.id, 1, state, "x" * 300) is True
    assert pending.end_pending(connection, job.id, 1, state, "again") is False
    row = Job.objects.get(id=job.id)
    assert (row.state, row.reason) == (state, "x" * 250)
    assert row.ended_at is not None


def test_a_pending_job_does_not_become_active_or_completed():
    for state in (State.ACTIVE, State.COMPLETED):
        with pytest.raises(IllegalMove):
            pending.end_pending(connection, clock.new_id(), 1, state, "")


def test_an_ended_pending_job_is_counted_in_its_hour_but_a_refused_retry_is_not():
    cancelled, refused = new_job(), new_job()
    insert(cancelled, refused)
    pending.end_pending(connection, cancelled.id, 1, State.CANCELLED, "")
    pending.end_pending(connection, refused.id, 1, State.FAILED, "")
    assert counted("lane") == {"cancelled": 1}


def test_only_a_dead_letter_starts_a_next_run():
    job = new_job(expires_in=1)
    insert(job)
    assert pending.start_next_run(connection, job.id) is None
    Job.objects.filter(id=job.id).update(
        state="failed", attempts=3, starts=4, lost=5, alone=True, token=7, error="broken"
    )
    assert pending.start_next_run(connection, job.id) == 2
    row = Job.objects.get(id=job.id)
    assert (row.state, row.run, row.attempts, row.starts, row.lost, row.alone) == ("pending", 2, 0, 0, 0, False)
    assert (row.token, row.error, row.expires_at, row.ended_at) == (7, "broken", None, None)
    assert pending.start_next_run(connection, job.id) is None
