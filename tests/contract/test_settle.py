"""Settling: each outcome, exactly once, only by who holds the job."""

import dataclasses
from datetime import timedelta

import pytest
from msgspec.structs import replace

from jobs import clock
from jobs.broker.records import CancelAnswer, Completed, Failed, GivenUp, HandedBack, Postponed, Retried, Settlement
from jobs.models import Attempt, Job
from jobs.states import State

ALL = [
    Completed("1"),
    Retried(0, "broken"),
    Postponed(0, "busy"),
    HandedBack("stopping"),
    Failed("broken"),
    GivenUp("no need"),
]


def test_a_completed_job_is_over_and_keeps_its_result(hands, bench, broker):
    job_id = hands.push()
    claimed = hands.claim_one()
    assert hands.settle(claimed, Completed('{"sent": true}'))
    record = bench.record(job_id)
    assert (record.state, record.result, record.attempts, record.starts) == (State.COMPLETED, '{"sent": true}', 1, 1)
    assert record.timeline == [(1, "completed")]
    assert bench.counters("lane") == {"completed": 1}
    assert not broker.holds("lane", job_id, claimed.token)
    assert hands.claim_ids() == []


def test_a_retried_job_is_due_after_its_delay_with_one_attempt_more(hands, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), Retried(10, "ValueError: broken", "Traceback ..."))
    bench.advance(9)
    assert hands.claim_ids() == []
    bench.advance(1)
    claimed = hands.claim_one()
    assert (claimed.id, claimed.attempts, claimed.starts) == (job_id, 1, 1)
    assert bench.record(job_id).error == "ValueError: broken"
    assert bench.record(job_id).timeline == [(1, "failed")]
    assert bench.counters("lane") == {"retried": 1}


def test_the_last_error_stays_until_the_job_completes(hands, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), Retried(0, "broken"))
    claimed = hands.claim_one()
    assert bench.record(job_id).error == "broken"
    hands.settle(claimed)
    assert bench.record(job_id).error == ""
    assert bench.record(job_id).timeline == [(1, "failed"), (2, "completed")]


def test_a_postponed_job_burns_no_attempt(hands, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), Postponed(10, "slow down"))
    other = hands.push()
    assert hands.claim_ids() == [other]
    bench.advance(10)
    claimed = hands.claim_one()
    assert (claimed.id, claimed.attempts, claimed.starts) == (job_id, 0, 1)
    assert bench.record(job_id).timeline == [(None, "postponed")]
    assert bench.counters("lane") == {}


def test_a_slow_down_of_a_provider_holds_the_whole_queue(hands, bench):
    hands.push()
    claimed = hands.claim_one()
    hands.push()
    hands.settle(claimed, Postponed(30, "429", whole_queue=True))
    exchange = hands.exchange()
    assert exchange.jobs == ()
    assert exchange.wait == pytest.approx(30, abs=5)
    bench.advance(30)
    assert len(hands.claim()) == 2


def test_a_shorter_slow_down_does_not_end_a_longer_one(hands, bench):
    hands.push()
    hands.push()
    first, second = hands.claim(2)
    hands.settle(first, Postponed(60, "429", whole_queue=True))
    hands.settle(second, Postponed(10, "429", whole_queue=True))
    bench.advance(20)
    assert hands.claim_ids() == []


def test_a_slow_down_leaves_other_queues_alone(hands):
    hands.push()
    hands.settle(hands.claim_one(), Postponed(60, "429", whole_queue=True))
    other = dataclasses.replace(hands.policy, name="other")
    hands.push(queue="other")
    assert len(hands.claim(policy=other, worker=hands.new_worker(queue="other"))) == 1


def test_a_refused_settlement_does_not_hold_the_queue(hands):
    hands.push()
    claimed = hands.claim_one()
    hands.settle(claimed, HandedBack("stopping"))
    assert not hands.settle(claimed, Postponed(60, "429", whole_queue=True))
    assert len(hands.claim()) == 1


def test_a_handed_back_job_burns_no_attempt_and_no_start_that_never_was(hands, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), HandedBack("stopping"), started=False)
    claimed = hands.claim_one()
    assert (claimed.id, claimed.attempts, claimed.starts, claimed.unknown_since) == (job_id, 0, 0, None)
    assert bench.record(job_id).timeline == []


def test_a_job_nobody_understands_remembers_since_when(hands, bench):
    hands.push()
    hands.settle(hands.claim_one(), HandedBack("unknown task", delay=5, unknown=True), started=False)
    assert hands.claim_ids() == []
    bench.advance(5)
    first = hands.claim_one()
    assert first.unknown_since is not None
    hands.settle(first, HandedBack("unknown task", delay=5, unknown=True), started=False)
    bench.advance(5)
    second = hands.claim_one()
    assert second.unknown_since == first.unknown_since


@pytest.mark.parametrize("outcome", [Retried(0, "broken"), Postponed(0, "busy")])
def test_a_job_that_was_understood_at_last_forgets_that_it_was_not(hands, outcome):
    hands.push()
    hands.settle(hands.claim_one(), HandedBack("unknown task", delay=0, unknown=True), started=False)
    hands.settle(hands.claim_one(), outcome)
    assert hands.claim_one().unknown_since is None


def test_a_failed_job_is_a_dead_letter(hands, bench):
    job_id = hands.fail_one()
    record = bench.record(job_id)
    assert (record.state, record.error, record.attempts) == (State.FAILED, "broken", 1)
    assert record.timeline == [(1, "failed")]
    assert bench.counters("lane") == {"failed": 1}


def test_a_job_that_could_not_be_started_fails_without_an_attempt(hands, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), Failed("unknown task", attempted=False), started=False)
    record = bench.record(job_id)
    assert (record.state, record.attempts, record.starts, record.timeline) == (State.FAILED, 0, 0, [])


def test_a_job_that_agrees_to_be_cancelled_ends_as_cancelled(hands, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), GivenUp("no need any more"))
    record = bench.record(job_id)
    assert (record.state, record.reason, record.attempts) == (State.CANCELLED, "no need any more", 0)
    assert record.timeline == [(None, "cancelled")]
    assert bench.counters("lane") == {"cancelled": 1}


@pytest.mark.parametrize("outcome", ALL, ids=lambda outcome: type(outcome).__name__)
def test_a_settlement_counts_once(hands, bench, outcome):
    hands.push()
    claimed = hands.claim_one()
    assert hands.settle(claimed, outcome)
    before = bench.record(claimed.id)
    assert not hands.settle(claimed, outcome)
    assert not hands.settle(claimed, Completed())
    assert bench.record(claimed.id) == before


@pytest.mark.parametrize("outcome", ALL, ids=lambda outcome: type(outcome).__name__)
def test_an_old_token_settles_nothing_when_others_have_the_job(hands, bench, outcome):
    hands.push()
    old = hands.claim_one()
    hands.settle(old, HandedBack("stopping"))
    new = hands.claim_one()
    assert new.token != old.token
    assert not hands.settle(old, outcome)
    assert hands.settle(new, Completed())


@pytest.mark.parametrize("token", ["", "nonsense", "-1", "²", "9" * 40])
def test_a_token_that_was_never_given_settles_nothing(hands, broker, token):
    hands.push()
    claimed = replace(hands.claim_one(), token=token)
    assert not hands.settle(claimed)
    assert not broker.holds("lane", claimed.id, token)


def test_another_worker_cannot_settle(hands):
    hands.push()
    claimed = hands.claim_one()
    assert not hands.settle(claimed, worker=hands.new_worker())
    assert hands.settle(claimed)


def test_an_unknown_job_settles_nothing(hands):
    hands.push()
    claimed = replace(hands.claim_one(), id=clock.new_id())
    assert not hands.settle(claimed)


def test_the_answers_come_in_the_order_of_the_settlements(hands):
    for _ in range(3):
        hands.push()
    first, second, third = hands.claim(3)
    hands.settle(second)
    exchange = hands.exchange(*(hands.settlement(job, Completed()) for job in (first, second, third)))
    assert [settled.counted for settled in exchange.settled] == [True, False, True]


def test_a_late_settle_counts_while_nobody_reaped_the_job(hands, bench):
    worker = hands.new_worker(lease=10)
    hands.push()
    claimed = hands.claim_one(worker=worker)
    bench.advance(11)
    assert hands.settle(claimed, worker=worker)


def test_holds_tells_whether_the_job_is_still_mine(hands, broker):
    job_id = hands.push()
    old = hands.claim_one()
    assert broker.holds("lane", job_id, old.token)
    hands.settle(old, HandedBack("stopping"))
    assert not broker.holds("lane", job_id, old.token)
    new = hands.claim_one()
    assert not broker.holds("lane", job_id, old.token)
    assert broker.holds("lane", job_id, new.token)


@pytest.mark.parametrize(
    "outcome",
    [Retried(5, "broken"), Postponed(5, "busy"), HandedBack("stopping")],
    ids=lambda outcome: type(outcome).__name__,
)
def test_a_job_asked_to_cancel_ends_as_cancelled_when_it_comes_back(hands, broker, bench, outcome):
    job_id = hands.push(key="k")
    claimed = hands.claim_one()
    assert broker.cancel("lane", job_id, "not wanted") is CancelAnswer.ASKED
    assert hands.settle(claimed, outcome)
    record = bench.record(job_id)
    assert (record.state, record.reason) == (State.CANCELLED, "not wanted")
    assert bench.counters("lane") == {"cancelled": 1}


def test_a_job_asked_to_cancel_may_still_complete(hands, broker, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    broker.cancel("lane", job_id, "too late")
    assert hands.settle(claimed)
    assert bench.record(job_id).state == State.COMPLETED


def test_attempts_are_numbered_over_losses_and_hand_backs(hands, broker, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), Retried(0, "one"))
    hands.settle(hands.claim_one(), Postponed(0, "busy"))
    hands.lose(1)
    hands.settle(hands.claim_one(), Retried(0, "two"))
    hands.settle(hands.claim_one(), Completed())
    record = bench.record(job_id)
    assert record.timeline == [(1, "failed"), (None, "postponed"), (None, "lost"), (2, "failed"), (3, "completed")]
    assert (record.attempts, record.starts, record.lost) == (3, 5, 1)


def test_a_start_read_a_little_ahead_of_the_clock_began_before_it_ended_and_not_in_the_future(hands, broker, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    ahead = broker.now() + timedelta(seconds=30)
    settlement = Settlement(claimed, Completed("1"), ahead, ahead + timedelta(milliseconds=1))
    assert hands.exchange(settlement, wanted=0).settled[0].counted
    assert bench.record(job_id).state == State.COMPLETED
    for row in (Job.objects.get(pk=job_id), Attempt.objects.get(job_id=job_id)):
        assert row.started_at <= row.ended_at <= broker.now()
