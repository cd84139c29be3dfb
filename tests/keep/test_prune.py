"""Retention: what ended last stays, the rest goes with its attempts, and live jobs never."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection

from jobs import clock
from jobs.broker.database import rows
from jobs.broker.records import NewJob
from jobs.keep import prune
from jobs.models import Attempt, Job
from jobs.operate import clean
from jobs.policy import QueuePolicy, Retention
from jobs.states import State

pytestmark = pytest.mark.django_db


def insert(state, count=1, queue="lane", ended_ago=timedelta(0)):
    """Jobs in a state, each with an attempt; oldest first."""
    jobs = [NewJob(id=clock.new_id(), queue=queue, task="app.task", message="{}", priority=5) for _ in range(count)]
    rows.insert_rows(connection, jobs, State.QUEUED)
    ids = [job.id for job in jobs]
    ended_at = clock.now() - ended_ago
    Job.objects.filter(id__in=ids).update(state=state, ended_at=ended_at)
    Attempt.objects.bulk_create(Attempt(job_id=id, outcome="failed", ended_at=ended_at) for id in ids)
    return ids


def kept(policy):
    prune.prune([policy])
    return set(Job.objects.values_list("id", flat=True))


def seen(into, chunk):
    into.append(chunk.ids)
    return chunk


def lane(**retention):
    return QueuePolicy("lane", retention=Retention(**retention))


@pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED, State.EXPIRED])
def test_the_newest_ended_jobs_stay(state):
    ids = insert(state, 5)
    assert kept(lane(completed=2, failed=0)) == set(ids[3:])


def test_dead_letters_have_a_number_of_their_own():
    completed, failed = insert(State.COMPLETED, 5), insert(State.FAILED, 5)
    assert kept(lane(completed=1, failed=3)) == {completed[4], *failed[2:]}


def test_nothing_goes_while_there_is_room():
    ids = insert(State.COMPLETED, 3)
    assert prune.prune([lane(completed=3)]) == 0
    assert kept(lane(completed=3)) == set(ids)


def test_nothing_is_kept_where_nothing_is_asked_for():
    insert(State.COMPLETED, 3)
    assert prune.prune([lane(completed=0)]) == 3
    assert Job.objects.count() == 0


@pytest.mark.parametrize("state", [State.PENDING, State.QUEUED, State.ACTIVE])
def test_live_jobs_never_go(state):
    ids = insert(state, 3, ended_ago=timedelta(days=900))
    assert kept(lane(completed=0, failed=0, age=timedelta(seconds=1))) == set(ids)


def test_other_queues_are_left_alone():
    ids = insert(State.COMPLETED, 3, queue="other")
    assert kept(lane(completed=0)) == set(ids)


def test_attempts_go_with_their_job_and_only_they():
    ids = insert(State.COMPLETED, 3)
    kept(lane(completed=1))
    assert list(Attempt.objects.values_list("job_id", flat=True)) == ids[2:]


def test_more_than_one_chunk_goes(monkeypatch):
    monkeypatch.setattr(clean, "CHUNK", 2)
    ids = insert(State.COMPLETED, 9)
    assert kept(lane(completed=2)) == set(ids[7:])


def test_a_run_has_an_end_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr(clean, "CHUNK", 3)
    monkeypatch.setattr(prune, "LONGEST", 0.0)
    insert(State.COMPLETED, 9)
    assert [prune.prune([lane(completed=1)]) for _ in range(4)] == [3, 3, 2, 0]


def test_a_queue_with_much_to_prune_keeps_no_other_waiting(monkeypatch):
    monkeypatch.setattr(clean, "CHUNK", 2)
    insert(State.COMPLETED, 9)
    removed = []
    monkeypatch.setattr(prune, "remove_chunk", lambda jobs, original=prune.remove_chunk: seen(removed, original(jobs)))
    other = insert(State.COMPLETED, 3, queue="other")
    prune.prune([lane(completed=1), QueuePolicy("other", retention=Retention(completed=1))])
    assert set(removed[1]) == set(other[:2])
    assert sum(map(len, removed)) == 8 + 2


def test_after_each_transaction_others_have_the_lock_for_as_long(monkeypatch):
    monkeypatch.setattr(clean, "CHUNK", 2)
    waits, slept = iter([0.0, 0.1, 0.5, 0.0]), []
    monkeypatch.setattr(
        prune,
        "remove_chunk",
        lambda jobs, original=prune.remove_chunk: replace(original(jobs), held=0.3, waited=next(waits)),
    )
    monkeypatch.setattr(clean.time, "sleep", lambda seconds: slept.append(round(seconds, 3)))
    insert(State.COMPLETED, 9)
    prune.prune([lane(completed=3)])
    assert slept == [0.3, 0.2, 0.0, 0.3]


def test_jobs_that_ended_too_long_ago_go_although_there_is_room():
    long_ago, accepted_long_ago, recent = insert(State.COMPLETED, 3)
    days_ago = clock.now() - timedelta(days=10)
    Job.objects.filter(id__in=(long_ago, accepted_long_ago)).update(created_at=days_ago)
    Job.objects.filter(id=long_ago).update(ended_at=days_ago)
    assert kept(lane(completed=100, age=timedelta(days=5))) == {accepted_long_ago, recent}


def test_the_duty_prunes_the_configured_queues(monkeypatch):
    ids = insert(State.COMPLETED, 2)

    class Queue:
        policy = lane(completed=1)

    monkeypatch.setattr(prune, "queues", lambda: {"lane": Queue})
    assert prune.run() == 1
    assert set(Job.objects.values_list("id", flat=True)) == {ids[1]}
