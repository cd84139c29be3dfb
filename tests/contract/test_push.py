"""Taking jobs in: once each, one live job a key."""

import pytest

from jobs import clock
from jobs.broker.records import Completed, Failed, GivenUp, PushStatus, Retried
from jobs.states import State


def test_every_pushed_job_is_claimed_as_it_was_pushed(hands, broker):
    event_id = clock.new_id()
    job = hands.new_job(
        message='{"é": "\\u2713 ✓"}',
        priority=3,
        key="k",
        event="lead_created",
        event_id=event_id,
        about=("leads.lead", "7"),
    )
    before = broker.now()
    hands.push_all([job])
    claimed = hands.claim_one()
    assert (claimed.id, claimed.queue, claimed.task, claimed.message) == (job.id, job.queue, job.task, job.message)
    assert (claimed.priority, claimed.key, claimed.run) == (3, "k", 1)
    assert (claimed.event, claimed.event_id, claimed.about) == ("lead_created", event_id, ("leads.lead", "7"))
    assert (claimed.attempts, claimed.starts, claimed.lost) == (0, 0, 0)
    assert before <= claimed.ready_at <= claimed.claimed_at <= broker.now()


def test_a_push_of_nothing_does_nothing(broker):
    assert broker.push("lane", []).answers == ()


def test_a_repeated_push_makes_no_second_job(hands, broker):
    job = hands.new_job()
    assert [answer.status for answer in hands.push_all([job, job])] == [PushStatus.ACCEPTED, PushStatus.KNOWN]
    assert hands.push_all([job])[0].status is PushStatus.KNOWN
    assert hands.claim_ids() == [job.id]
    assert hands.push_all([job])[0].status is PushStatus.KNOWN
    assert hands.claim_ids() == []


@pytest.mark.parametrize("outcome", [Completed(), Failed("broken"), GivenUp("no need")])
def test_a_push_after_the_end_does_not_bring_the_job_back(hands, broker, outcome):
    job = hands.new_job()
    hands.push_all([job])
    hands.settle(hands.claim_one(), outcome)
    assert hands.push_all([job])[0].status is PushStatus.KNOWN
    assert hands.claim_ids() == []


def test_a_dead_letter_begins_its_next_run_with_fresh_counters(hands, broker, bench):
    job = hands.new_job(expires_in=100)
    hands.push_all([job])
    hands.settle(hands.claim_one(), Retried(0, "first"))
    first = hands.claim_one()
    hands.settle(first, Failed("second"))
    assert hands.push_all([hands.new_job(id=job.id, run=2)])[0].status is PushStatus.ACCEPTED
    again = hands.claim_one()
    assert (again.id, again.run, again.attempts, again.starts, again.expires_at) == (job.id, 2, 0, 0, None)
    assert again.token != first.token
    assert not hands.settle(first)
    assert hands.settle(again)
    assert bench.record(job.id).state == State.COMPLETED


def test_a_lower_run_is_refused(hands, broker):
    job_id = hands.fail_one()
    hands.push_all([hands.new_job(id=job_id, run=2)])
    assert hands.push_all([hands.new_job(id=job_id, run=1)])[0].status is PushStatus.KNOWN
    assert hands.claim_one().run == 2


def test_a_higher_run_of_a_job_that_did_not_fail_is_refused(hands, broker):
    job_id = hands.push()
    assert hands.push_all([hands.new_job(id=job_id, run=2)])[0].status is PushStatus.KNOWN
    hands.settle(hands.claim_one())
    assert hands.push_all([hands.new_job(id=job_id, run=2)])[0].status is PushStatus.KNOWN
    assert hands.claim_ids() == []


@pytest.mark.parametrize("claimed", [False, True])
def test_a_key_admits_one_live_job_a_queue(hands, claimed):
    holder = hands.push(key="welcome:1")
    if claimed:
        hands.claim_one()
    second = hands.push_one(key="welcome:1")
    assert (second.status, second.holder) == (PushStatus.DUPLICATE, holder)
    assert hands.push_one(key="welcome:2").status is PushStatus.ACCEPTED
    assert hands.push_one(key="welcome:1", queue="other").status is PushStatus.ACCEPTED


def test_the_first_of_one_call_wins_the_key(hands, broker):
    jobs = [hands.new_job(key="k"), hands.new_job(key="k"), hands.new_job()]
    answers = hands.push_all(jobs)
    assert [answer.status for answer in answers] == [PushStatus.ACCEPTED, PushStatus.DUPLICATE, PushStatus.ACCEPTED]
    assert [answer.id for answer in answers] == [job.id for job in jobs]
    assert answers[1].holder == jobs[0].id


def test_a_repeated_push_of_the_holder_is_no_duplicate_of_itself(hands, broker):
    job = hands.new_job(key="k")
    hands.push_all([job])
    assert hands.push_all([job])[0].status is PushStatus.KNOWN


@pytest.mark.parametrize("outcome", [Completed(), Failed("broken"), GivenUp("no need")])
def test_every_ending_frees_the_key(hands, outcome):
    hands.push(key="k")
    hands.settle(hands.claim_one(), outcome)
    assert hands.push_one(key="k").status is PushStatus.ACCEPTED


def test_a_cancelled_job_frees_its_key(hands, broker):
    job_id = hands.push(key="k", delay=60)
    broker.cancel("lane", job_id, "not wanted")
    assert hands.push_one(key="k").status is PushStatus.ACCEPTED


def test_a_job_that_is_retried_keeps_its_key(hands):
    holder = hands.push(key="k")
    hands.settle(hands.claim_one(), Retried(60, "broken"))
    assert hands.push_one(key="k").holder == holder


def test_a_next_run_does_not_take_a_key_that_another_job_holds(hands, broker):
    dead = hands.fail_one(key="k")
    holder = hands.push(key="k")
    answer = hands.push_all([hands.new_job(id=dead, run=2, key="k")])[0]
    assert (answer.status, answer.holder) == (PushStatus.DUPLICATE, holder)
    assert hands.claim_ids() == [holder]


def test_an_earlier_acceptance_decides_the_due_time(hands, broker, bench):
    ready_at = broker.now()
    bench.advance(5)
    hands.push()
    early = hands.push(ready_at=ready_at, delay=60)
    claimed = hands.claim()
    assert claimed[0].id == early
    assert claimed[0].ready_at == ready_at
