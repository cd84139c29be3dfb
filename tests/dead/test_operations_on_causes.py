"""Retry a cause at a pace, edit and retry, discard: once each, whoever does the same, whatever breaks off."""

import threading
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connections, transaction

from accounts.models import User
from jobs import (
    InvalidArguments,
    InvalidOption,
    RateLimit,
    Refused,
    UnknownCause,
    cancel,
    clock,
    counts,
    dead_letters_by_cause,
    discard_dead_letters,
    retry,
    retry_cause,
)
from jobs.broker import get_broker
from jobs.history import live
from jobs.keep import prune
from jobs.models import Job
from jobs.operate import dead_letters
from jobs.operate import retry_cause as retrying
from jobs.policy import QueuePolicy, Retention
from tests.dead.conftest import dead, fail, fail_for, lane
from tests.each_broker import redis_client

CAUSE = "c" * 16


def failed(work, number=3, **options):
    """So many dead letters of one cause, by a worker; returns it."""
    for _number in range(number):
        fail.using(**options).enqueue()
    work()
    return dead_letters_by_cause()[0].id


def due_in():
    """The seconds in which each job that waits is due, in order."""
    found = get_broker().list_waiting(lane.name, limit=1_000).jobs
    now = get_broker().now()
    return sorted((job.ready_at - now).total_seconds() for job in found)


def together(*acts):
    """Each in a thread of its own, as soon as all are there; returns what each said, or raised."""
    ready, said = threading.Barrier(len(acts)), [None] * len(acts)

    def run(place):
        ready.wait(60)
        try:
            said[place] = acts[place]()
        except Exception as error:
            said[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return said


def test_a_cause_is_retried_and_each_job_runs_once_more(each_broker, work):
    cause = failed(work)
    done = retry_cause(cause)
    assert (done.retried, done.refused, done.more) == (3, 0, False)
    assert work() == 3
    assert set(Job.objects.values_list("run", "state")) == {(2, "failed")}


def test_a_pace_spreads_them_and_the_next_call_goes_on_behind(each_broker, work):
    cause = failed(work, 6)
    first = retry_cause(cause, pace=RateLimit(1, per=100), limit=2)
    assert (first.retried, first.more) == (2, True)
    # as if the command was killed behind its second chunk, and repeated
    second = retry_cause(cause, pace=RateLimit(1, per=100))
    assert (second.retried, second.more) == (4, False)
    assert due_in() == pytest.approx([0, 100, 200, 300, 400, 500], abs=30)
    assert retry_cause(cause, pace=RateLimit(1, per=100)).retried == 0


def test_two_who_retry_the_same_cause_retry_each_job_once_and_keep_one_pace(each_broker, work, monkeypatch):
    monkeypatch.setattr(retrying, "CHUNK", 2)
    cause = failed(work, 8)
    if each_broker == "redis":
        get_broker().close()

    def act():
        return retry_cause(cause, pace=RateLimit(1, per=100)).retried

    said = together(act, act)
    assert sum(said) == 8, said
    assert due_in() == pytest.approx([100 * place for place in range(8)], abs=40)
    assert set(Job.objects.values_list("run", flat=True)) == {2}


def test_a_retry_and_a_discard_at_once_take_each_job_once(each_broker, work, monkeypatch):
    monkeypatch.setattr(retrying, "CHUNK", 2)
    monkeypatch.setattr(dead_letters, "CHUNK", 2)
    cause = failed(work, 8)
    retried, discarded = (
        # where the other one has taken all before it began
        0 if isinstance(said, UnknownCause) else said
        for said in together(lambda: retry_cause(cause).retried, lambda: discard_dead_letters(cause=cause))
    )
    assert retried + discarded == 8
    assert work() == retried
    assert counts(lane).discarded == discarded


def test_what_fails_again_meanwhile_or_is_refused_is_not_retried_twice(each_broker, work):
    failed(work, 2, key="one")
    cause = dead_letters_by_cause()[0].id
    assert Job.objects.filter(cause=cause).count() == 1  # the second one was a duplicate
    holder = fail.using(key="one", delay=600).enqueue()
    done = retry_cause(cause)
    assert (done.retried, done.refused) == (1, 1)
    assert Job.objects.exclude(pk=holder.id).get(state="failed").cause == cause


def test_only_what_failed_before_a_moment_is_retried(each_database):
    dead(2, timedelta(hours=2))
    dead(3)
    assert retry_cause(CAUSE, before=clock.now() - timedelta(hours=1)).retried == 2


def test_a_rolled_back_retry_has_retried_nothing(each_broker, work):
    cause = failed(work)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert retry_cause(cause).retried == 3
        raise ZeroDivisionError
    assert work() == 0
    assert dead_letters_by_cause()[0].count == 3


@pytest.mark.parametrize("wrong", [{"pace": 10}, {"limit": 0}, {"pace": RateLimit(1, per=86_400)}])
def test_a_wrong_value_is_refused_and_nothing_retried(each_database, wrong):
    dead(400)
    with pytest.raises(InvalidOption):
        retry_cause(CAUSE, **wrong)
    assert Job.objects.filter(state="failed").count() == 400


def test_a_discard_is_counted_and_what_retention_takes_is_not(each_broker, work):
    cause = failed(work, 3)
    cancel(Job.objects.first().pk)
    if each_broker == "redis":
        live.hear([lane.name])
    assert counts(lane).discarded == 1
    assert discard_dead_letters(cause=cause, dry_run=True) == 2
    assert discard_dead_letters(cause=cause, limit=1) == 1
    prune.prune([QueuePolicy(lane.name, retention=Retention(failed=0))])
    now = counts(lane)
    assert (now.discarded, now.failed, now.dead_letters, now.cancelled) == (2, 3, 0, 0)


def test_dead_letters_of_a_queue_are_discarded_by_age(each_database):
    dead(3, timedelta(days=8))
    old = dead(2, timedelta(days=6))
    assert discard_dead_letters(queue=lane, older_than=timedelta(days=7)) == 3
    assert set(Job.objects.filter(state="failed")) == set(old)
    assert discard_dead_letters(queue=lane, task=fail_for) == 0


@pytest.mark.parametrize("wrong", [{}, {"cause": CAUSE, "queue": lane}, {"cause": CAUSE, "task": fail}])
def test_a_discard_says_of_what(each_database, wrong):
    dead(1)
    with pytest.raises(InvalidOption, match="cause= or queue="):
        discard_dead_letters(**wrong)


@pytest.mark.parametrize("each_broker", ["redis"], indirect=True)
def test_after_a_discard_nothing_is_left_in_redis(each_broker, work):
    cause = failed(work)
    assert discard_dead_letters(cause=cause) == 3
    broker = get_broker()
    from jobs.history import facts

    with redis_client() as client:
        assert client.hlen("{tests:dead_lane}:ended") == 3
        broker.forget_facts(lane.name, *facts.position(lane.name))
        left = [key for key in client.keys("*dead_lane*") if client.type(key) in (b"hash", b"stream")]
        held = {key: client.hgetall(key) if client.type(key) == b"hash" else client.xlen(key) for key in left}
        ids = [id.bytes for id in Job.objects.values_list("pk", flat=True)]
    assert not [key for key, fields in held.items() if isinstance(fields, dict) and fields.keys() & set(ids)]
    assert not [key for key, length in held.items() if isinstance(length, int) and length]
    # and nothing comes back of it
    live.hear()
    assert set(Job.objects.values_list("state", flat=True)) == {"cancelled"}


class TestEdit:
    """Other arguments for the next run."""

    def test_it_runs_with_the_new_arguments(self, each_broker, work):
        failed(work, 1)
        job = Job.objects.get()
        retry(job.pk, arguments={"broken": False, "text": "mended"})
        assert work() == 1
        job.refresh_from_db()
        assert (job.state, job.run, job.result) == ("completed", 2, '"done"')

    @pytest.mark.parametrize("wrong", [{"unknown": 1}, {"broken": "perhaps"}, {"text": None}, {"text": "x" * 70_000}])
    def test_what_does_not_fit_is_refused_and_the_dead_letter_stays(self, each_database, wrong):
        (job,) = dead(1)
        with pytest.raises(InvalidArguments):
            retry(job.pk, arguments=wrong)
        assert Job.objects.get().state == "failed"

    def test_one_whose_arguments_do_not_fit_any_more_can_be_mended(self, each_database):
        (job,) = dead(1, message='{"v":1,"args":["a","b","c"],"kwargs":{"gone":1}}')
        retry(job.pk, arguments={"broken": False})
        job.refresh_from_db()
        assert (job.state, job.args, job.kwargs) == ("queued", ["a", False], {})

    def test_a_task_that_no_code_knows_cannot_be_edited(self, each_database):
        (job,) = dead(1, task="nobody.knows")
        with pytest.raises(Refused, match="nobody.knows"):
            retry(job.pk, arguments={"a": 1})

    def test_a_job_does_not_change_hands(self, each_database, monkeypatch):
        monkeypatch.setattr("jobs.operate.arguments.scope_of", lambda signature, args, kwargs: str(args))
        (job,) = dead(1)
        with pytest.raises(Refused, match="belong"):
            retry(job.pk, arguments={"text": "acme"})

    @pytest.mark.django_db
    def test_personal_arguments_take_a_permission_and_the_log_names_but_does_not_tell_them(self):
        (job,) = dead(1, task=fail_for.name, message='{"v":1,"args":["ada@example.org",4],"kwargs":{}}')
        person = User.objects.create_user("operator@example.org")
        with pytest.raises(Refused, match="address"):
            retry(job.pk, person, arguments={"address": "grace@example.org"})
        person.user_permissions.add(Permission.objects.get(codename="edit_personal_arguments"))
        retry(job.pk, User.objects.get(), arguments={"address": "grace@example.org"})
        job.refresh_from_db()
        assert job.args == ["grace@example.org", 4]
        (entry,) = LogEntry.objects.all()
        assert "address" in entry.change_message
        assert "grace@" not in entry.change_message


@pytest.mark.django_db
def test_who_retries_and_who_discards_is_noted_at_the_jobs_and_at_the_cause():
    dead(3)
    person = User.objects.create_user("operator@example.org")
    retry_cause(CAUSE, limit=1, by=person)
    discard_dead_letters(cause=CAUSE, by=person)
    objects = LogEntry.objects.values_list("content_type__model", flat=True)
    assert sorted(objects) == ["cause", "cause", "job", "job", "job"]
    assert {*LogEntry.objects.values_list("user", flat=True)} == {person.pk}
