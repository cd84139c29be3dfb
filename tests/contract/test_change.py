"""What people change of a job that waits: when it is due, its priority, its arguments; and what history says of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import clock
from jobs.broker.changes import Change, ChangeAnswer
from jobs.broker.records import Failed, HandedBack, PushStatus, Retried
from jobs.models import Job
from jobs.states import State

LATER, SOONER, URGENT = Change(delay=3_600), Change(delay=0), Change(priority=80)
EDITED = Change(message='{"b": 2}')


def test_a_job_that_is_put_off_is_due_then_and_not_before(hands, broker, bench):
    job_id = hands.push()
    before = broker.now()
    assert broker.change("lane", job_id, LATER) is ChangeAnswer.CHANGED
    assert before + timedelta(hours=1) <= broker.find("lane", job_id).ready_at <= broker.now() + timedelta(hours=1)
    assert hands.exchange().jobs == ()
    assert (broker.counts("lane").waiting, broker.counts("lane").scheduled) == (0, 1)
    bench.advance(3_601)
    assert hands.claim_ids() == [job_id]


def test_a_job_that_is_brought_forward_stands_behind_those_that_wait(hands, broker):
    scheduled, waiting = hands.push(delay=3_600), hands.push()
    assert broker.change("lane", scheduled, SOONER) is ChangeAnswer.CHANGED
    assert hands.claim_ids() == [waiting, scheduled]


def test_a_time_that_is_past_means_now(hands, broker):
    scheduled, waiting = hands.push(delay=3_600), hands.push()
    past = broker.now() - timedelta(days=3)
    assert broker.change("lane", scheduled, Change(at=past)) is ChangeAnswer.CHANGED
    assert broker.find("lane", scheduled).ready_at > past + timedelta(days=2)
    assert hands.claim_ids() == [waiting, scheduled]


def test_a_time_that_was_asked_for_is_kept_to_the_microsecond(hands, broker):
    job_id, at = hands.push(), broker.now() + timedelta(hours=5)
    assert broker.change("lane", job_id, Change(at=at)) is ChangeAnswer.CHANGED
    assert broker.find("lane", job_id).ready_at == at


def test_a_job_with_another_priority_keeps_its_ready_time(hands, broker, bench):
    """G5: among those of its new priority it stands by when it was ready, not by when it was moved."""
    first, second = hands.push(priority=-50), hands.push(priority=10)
    third = hands.push(priority=10)
    ready = broker.find("lane", first).ready_at
    bench.advance(5)
    assert broker.change("lane", first, Change(priority=10)) is ChangeAnswer.CHANGED
    found = broker.find("lane", first)
    assert (found.ready_at, found.priority) == (ready, 10)
    assert hands.claim_ids() == [first, second, third]


def test_priority_of_a_scheduled_job_tells_when_it_is_due(hands, broker, bench):
    low, urgent = hands.push(delay=60), hands.push(delay=60)
    assert broker.change("lane", urgent, URGENT) is ChangeAnswer.CHANGED
    bench.advance(61)
    assert hands.claim_ids() == [urgent, low]


def test_a_job_moved_up_is_seen_by_a_worker_that_found_nothing_there(hands, broker, bench):
    """Behind dead rows a claim begins where it found nothing: what turns up before that must be told of."""
    old = hands.push(priority=-80)
    for _ in range(3):
        bench.advance(10)
        urgent = hands.push(priority=80)
        assert hands.claim_ids(1) == [urgent]
    bench.advance(10)
    assert broker.change("lane", old, URGENT) is ChangeAnswer.CHANGED
    assert hands.claim_ids() == [old]


def test_arguments_are_changed_if_they_still_are_what_was_read(hands, broker):
    job_id = hands.push(message='{"a": 1}', key="k", tags=("t",))
    stale = Change(message='{"c": 3}', was='{"a": 0}')
    assert broker.change("lane", job_id, stale) is ChangeAnswer.OTHER
    fresh = Change(message='{"b": 2}', was='{"a": 1}')
    assert broker.change("lane", job_id, fresh) is ChangeAnswer.CHANGED
    assert broker.change("lane", job_id, fresh) is ChangeAnswer.OTHER
    claimed = hands.claim_one()
    assert (claimed.message, claimed.key, claimed.tags) == ('{"b": 2}', "k", ("t",))
    assert hands.push_one(key="k").status is PushStatus.DUPLICATE


def test_all_is_changed_at_once(hands, broker):
    job_id = hands.push(delay=60)
    at = broker.now() + timedelta(minutes=9)
    assert broker.change("lane", job_id, Change(at=at, priority=9, message="{}")) is ChangeAnswer.CHANGED
    found = broker.find("lane", job_id)
    assert (found.ready_at, found.priority, found.message) == (at, 9, "{}")


@pytest.mark.parametrize("change", [LATER, URGENT, EDITED], ids=["time", "priority", "arguments"])
def test_a_job_that_runs_or_has_ended_is_left_alone(hands, broker, bench, change):
    job_id = hands.push()
    claimed = hands.claim_one()
    before = broker.find("lane", job_id)
    assert broker.change("lane", job_id, change) is ChangeAnswer.ACTIVE
    assert broker.find("lane", job_id) == before
    assert broker.holds("lane", job_id, claimed.token)
    hands.settle(claimed)
    assert broker.change("lane", job_id, change) is ChangeAnswer.ENDED
    assert bench.record(job_id).state == State.COMPLETED
    assert broker.change("lane", hands.fail_one(), change) is ChangeAnswer.ENDED
    assert broker.change("lane", clock.new_id(), change) is None
    assert broker.change("other", hands.push(), change) is None


def test_what_is_counted_and_told_of_a_retrying_job_stays(hands, broker, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), Retried(60, "broken"))
    assert broker.change("lane", job_id, LATER) is ChangeAnswer.CHANGED
    bench.advance(100)
    assert hands.claim() == []
    assert broker.change("lane", job_id, SOONER) is ChangeAnswer.CHANGED
    claimed = hands.claim_one()
    assert (claimed.attempts, claimed.starts) == (1, 1)
    assert bench.record(job_id).error == "broken"


def test_a_job_that_must_run_alone_still_must(hands, broker):
    job_id = hands.push()
    hands.lose(2)
    assert broker.change("lane", job_id, Change(delay=0, priority=50)) is ChangeAnswer.CHANGED
    assert hands.claim() == []
    assert hands.claim_ids(alone=True) == [job_id]


def test_history_says_what_a_job_was_changed_to(hands, broker, bench):
    """G9: also of a job whose row was there before, and of one that ends before the history hears of the change."""
    known, unknown = hands.push(message='{"a": 1}'), hands.push(message='{"a": 1}')
    bench.record(known)
    at = broker.now() + timedelta(hours=2)
    for job_id in (known, unknown):
        assert broker.change("lane", job_id, Change(at=at, priority=33, message='{"b": 2}')) is ChangeAnswer.CHANGED
    assert bench.record(known).state == bench.record(unknown).state == State.QUEUED
    for job in Job.objects.filter(pk__in=[known, unknown]):
        assert (job.ready_at, job.stored_priority, job.message, job.timed_at) == (at, 33, '{"b": 2}', None)
    for job_id in (known, unknown):
        assert broker.change("lane", job_id, Change(delay=0, message='{"c": 3}')) is ChangeAnswer.CHANGED
    hands.settle(hands.claim_one(), Failed("broken"))
    hands.settle(hands.claim_one(), HandedBack("stopping"))
    assert bench.record(known).state == State.FAILED
    for job in Job.objects.filter(pk__in=[known, unknown]):
        assert (job.ready_at < at, job.stored_priority, job.message) == (True, 33, '{"c": 3}')


def test_history_says_when_a_promoted_job_is_due(hands, broker, bench):
    job_id = hands.push(delay=3_600)
    bench.record(job_id)
    assert broker.promote("lane", job_id) is True
    bench.record(job_id)
    assert Job.objects.get(pk=job_id).ready_at == broker.find("lane", job_id).ready_at <= broker.now()


def test_of_a_claim_and_a_change_at_once_one_comes_first(hands, bench, broker):
    """Whichever it is: what the worker holds is what was changed, or the change is refused."""
    from threading import Barrier, Thread

    ids = [hands.push(message="old") for _ in range(40)]
    together, answers = Barrier(2), {}
    other = bench.another()

    def change_all():
        from django.db import connections

        together.wait()
        for job_id in ids:
            answers[job_id] = other.change("lane", job_id, Change(message="new", was="old"))
        other.close()
        connections.close_all()

    thread = Thread(target=change_all)
    thread.start()
    together.wait()
    claimed = {}
    while len(claimed) < len(ids):
        claimed.update((job.id, job.message) for job in hands.claim(1))
    thread.join(60)
    assert {id: ("new" if answers[id] is ChangeAnswer.CHANGED else "old") for id in ids} == claimed
    assert set(answers.values()) <= {ChangeAnswer.CHANGED, ChangeAnswer.ACTIVE}
