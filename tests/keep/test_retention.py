"""Retention goes by the end of a job, not by its creation; on both vendors."""

from datetime import timedelta

import pytest

from jobs import PermanentError, Queue, clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.keep import prune
from jobs.models import Job
from jobs.operate import clean
from jobs.operate.retry import retry
from jobs.policy import QueuePolicy, Retention
from jobs.states import ENDED, State
from jobs.testing import run_jobs
from tests.databases import KNOWN, goes_by, plans_of, statistics_of_jobs

from .test_prune import insert, kept, lane

pytestmark = pytest.mark.usefixtures("each_database")


def ended(state, minutes_ago, queue="lane"):
    """One job for each number, made in this order, that ended so many minutes ago."""
    ids = insert(state, len(minutes_ago), queue)
    for id, minutes in zip(ids, minutes_ago, strict=True):
        Job.objects.filter(id=id).update(ended_at=clock.now() - timedelta(minutes=minutes))
    return ids


@pytest.mark.parametrize("state", sorted(ENDED))
def test_the_jobs_that_ended_last_stay_whenever_they_were_made(state):
    ids = ended(state, [1, 9, 2, 8, 3])
    assert kept(lane(completed=2, failed=2)) == {ids[0], ids[2]}


def test_a_job_that_was_delayed_for_days_outlives_the_thousand_that_ended_before_it():
    (delayed,) = ended(State.COMPLETED, [0])
    ended(State.COMPLETED, [60] * 1_100)
    assert delayed in kept(lane(completed=1_000))


def test_of_jobs_that_ended_at_one_moment_exactly_so_many_stay(monkeypatch):
    monkeypatch.setattr(clean, "CHUNK", 2)
    ids = insert(State.COMPLETED, 9)
    Job.objects.update(ended_at=clock.now())
    assert kept(lane(completed=4)) == set(ids[5:])


def test_a_row_without_an_end_takes_nobodys_place():
    ids = insert(State.COMPLETED, 5)
    Job.objects.filter(id=ids[0]).update(ended_at=None)
    assert kept(lane(completed=2)) == {ids[0], *ids[3:]}


def test_age_cuts_what_was_completed_cancelled_or_expired_and_no_dead_letter():
    ids = {state: insert(state, 1, ended_ago=timedelta(days=900))[0] for state in sorted(ENDED)}
    assert kept(lane(age=timedelta(days=1))) == {ids[State.FAILED]}


def test_dead_letters_have_an_age_of_their_own():
    old, _ = insert(State.FAILED, 1, ended_ago=timedelta(days=9)), insert(State.COMPLETED, 1)
    young = insert(State.FAILED, 1, ended_ago=timedelta(days=7))
    completed = insert(State.COMPLETED, 1, ended_ago=timedelta(days=9))
    left = kept(lane(failed_age=timedelta(days=8)))
    assert {*young, *completed} <= left
    assert not left & set(old)


def test_without_an_age_nothing_is_too_old():
    ids = [id for state in sorted(ENDED) for id in insert(state, 1, ended_ago=timedelta(days=9_000))]
    assert kept(lane()) == set(ids)


def test_a_dead_letter_that_was_retried_and_failed_again_is_the_last_to_go():
    queue = Queue("again_lane", attempts=1, keep_failed=2)
    task = queue.task(name="prune.fails")(_fail)
    first, *others = [task.enqueue().id for _ in range(3)]
    run_jobs()
    retry(first)
    run_jobs()
    assert Job.objects.get(id=first).run == 2
    assert kept(queue.policy) == {first, others[1]}


def _fail():
    raise PermanentError("no")


def test_a_queue_that_no_code_defines_is_cut_by_the_default_retention(monkeypatch):
    monkeypatch.setattr(prune, "queues", dict)
    monkeypatch.setattr(prune, "QueuePolicy", lambda name: QueuePolicy(name, retention=Retention(completed=2)))
    ids = insert(State.COMPLETED, 5, queue="gone")
    assert prune.run() == 3
    assert set(Job.objects.values_list("id", flat=True)) == set(ids[3:])


def test_a_queue_that_other_code_works_is_left_to_that_code(monkeypatch):
    monkeypatch.setattr(prune, "queues", dict)
    monkeypatch.setattr(prune, "QueuePolicy", lambda name: QueuePolicy(name, retention=Retention(completed=2)))
    get_broker().register(ProcessRecord(clock.new_id(), "worker", "newer", "there", 1), 60)
    insert(State.COMPLETED, 5, queue="newer")
    assert prune.run() == 0


def too_many(**retention):
    jobs = Job.objects.filter(queue="lane", state=State.COMPLETED)
    return list(prune._too_many(jobs, Retention(**retention), State.COMPLETED, clock.now()))


def test_several_keepers_at_once_cut_what_one_would():
    ids = ended(State.COMPLETED, list(range(60)))
    boundaries = too_many(completed=10)
    # the other keeper has pruned, and more has ended, since the first one looked
    prune.prune([lane(completed=10)])
    younger = ended(State.COMPLETED, [0] * 5)
    for beyond in boundaries:
        clean.remove_chunk(beyond)
    assert set(Job.objects.values_list("id", flat=True)) == {*ids[:10], *younger}


@pytest.mark.parametrize("known", KNOWN)
def test_the_cut_walks_an_index_by_the_end(known, monkeypatch):
    monkeypatch.setattr(clean, "CHUNK", 2)
    with statistics_of_jobs(known, lambda: ended(State.COMPLETED, [60] * 20)):
        looks = plans_of(lambda: prune.prune([lane(completed=16, age=timedelta(minutes=90))]), "jobs_job", "ended_at")
    assert Job.objects.count() == 16
    # for each of four states what is to come and the boundary, then the chunks of the count and of the ages
    assert len(looks) >= 4 + 4 + 3 + 3
    for look in looks:
        goes_by("jobs_ended", look)


def test_what_ended_while_the_clock_was_ahead_takes_nobodys_place_for_ever(monkeypatch):
    monkeypatch.setattr(prune, "CHUNK", 2)
    days = 24 * 60
    ahead = ended(State.FAILED, [-400 * days, -401 * days, -402 * days])
    # the clock is right again
    first = ended(State.FAILED, [0.5])
    prune.prune([lane(failed=3)])
    assert first[0] in kept(lane(failed=3))
    assert not Job.objects.filter(ended_at__gt=clock.now()).exists()
    later = ended(State.FAILED, [0, 0, 0])
    assert kept(lane(failed=3)) == set(later), ahead
