"""Leases: who is gone gives back, who is silent is reaped, a job that kills its workers ends alone."""

from datetime import timedelta

import pytest

from jobs import clock
from jobs.broker.contract import LOSS_RULES
from jobs.broker.records import CancelAnswer, ProcessRecord, Reaped, Retried
from jobs.states import State
from tests.contract.hands import QUEUES, Hands


@pytest.fixture
def hands(broker):
    """Workers with a lease of 30 seconds."""
    return Hands(broker, lease=30)


def test_a_released_worker_gives_its_jobs_back_at_once_in_their_old_order(hands, broker, bench):
    first, second = hands.push(), hands.push()
    hands.claim(2)
    third = hands.push()
    bench.advance(1)
    assert hands.release(hands.worker, lost=False) == 2
    assert hands.claim_ids(worker=hands.new_worker()) == [first, second, third]


def test_an_interruption_counts_neither_as_attempt_nor_as_loss(hands, broker, bench):
    job_id = hands.push()
    hands.claim_one()
    hands.release(hands.worker, lost=False)
    claimed = hands.claim_one(worker=hands.new_worker())
    assert (claimed.attempts, claimed.lost, claimed.starts) == (0, 0, 1)
    assert bench.record(job_id).timeline == [(None, "interrupted")]
    assert bench.counters("lane") == {}


def test_a_loss_burns_no_attempt_and_is_counted(hands, broker, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one(), Retried(0, "broken"))
    hands.lose(1)
    claimed = hands.claim_one()
    assert (claimed.attempts, claimed.lost, claimed.starts) == (1, 1, 2)
    assert bench.record(job_id).timeline == [(1, "failed"), (None, "lost")]
    assert bench.counters("lane") == {"retried": 1, "lost": 1}


def test_a_released_worker_holds_nothing_and_claims_nothing(hands, broker):
    job_id = hands.push()
    claimed = hands.claim_one()
    hands.release(hands.worker, lost=True)
    assert broker.renew([hands.worker], 30).alive == frozenset()
    assert not broker.holds("lane", job_id, claimed.token)
    assert not hands.settle(claimed)
    assert hands.claim_ids() == []


def test_a_second_release_does_nothing(hands, broker, bench):
    job_id = hands.push()
    hands.claim_one()
    assert hands.release(hands.worker, lost=True) == 1
    assert hands.release(hands.worker, lost=True) == 0
    assert bench.record(job_id).lost == 1


def test_a_release_touches_no_other_worker(hands, broker):
    hands.push()
    claimed = hands.claim_one()
    hands.release(hands.new_worker(), lost=True)
    assert hands.settle(claimed)


def test_reap_leaves_a_lasting_lease_alone(hands, broker, bench):
    hands.push()
    claimed = hands.claim_one()
    bench.advance(29)
    assert broker.reap(QUEUES) == Reaped()
    assert hands.settle(claimed)


def test_reap_gives_back_what_a_silent_worker_holds(hands, broker, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    bench.advance(31)
    assert broker.reap(QUEUES) == Reaped(lost=1)
    assert not hands.settle(claimed)
    again = hands.claim_one(worker=hands.new_worker())
    assert (again.id, again.lost) == (job_id, 1)


def test_reap_blames_nobody_whose_lease_ended_later_than_it_is_told(hands, broker, bench):
    hands.push()
    hands.push(delay=60, expires_in=5)
    claimed = hands.claim_one()
    bench.advance(35)
    assert broker.reap(QUEUES, blame=False) == Reaped(expired=1)
    assert broker.reap(QUEUES, before=broker.now() - timedelta(seconds=10)) == Reaped()
    assert hands.settle(claimed)


def test_a_clock_set_back_by_an_hour_does_not_keep_a_dead_workers_jobs_for_an_hour(hands, broker, bench):
    worker = hands.new_worker(lease=10)
    job = hands.push()
    hands.claim(worker=worker)
    bench.advance(-3600)
    assert broker.reap(QUEUES).lost == 0
    bench.advance(8)
    assert broker.reap(QUEUES).lost == 0
    bench.advance(4)
    assert broker.reap(QUEUES).lost == 1
    assert bench.record(job).state == State.QUEUED


def test_a_reaped_worker_is_no_longer_alive(hands, broker, bench):
    bench.advance(31)
    broker.reap(QUEUES)
    assert broker.renew([hands.worker], 30).alive == frozenset()


def test_a_renewed_lease_lasts_longer(hands, broker, bench):
    hands.push()
    claimed = hands.claim_one()
    for _ in range(3):
        bench.advance(20)
        assert broker.renew([hands.worker], 30).alive == {hands.worker}
        assert broker.reap(QUEUES) == Reaped()
    assert hands.settle(claimed)


def test_renew_answers_for_each_worker(hands, broker):
    other, gone = hands.new_worker(), hands.new_worker()
    hands.release(gone, lost=False)
    assert broker.renew([hands.worker, other, gone], 30).alive == {hands.worker, other}
    assert broker.renew([], 30).alive == frozenset()


def test_renew_names_the_jobs_that_should_cancel(hands, broker):
    asked, other = hands.push(), hands.push()
    hands.claim(2)
    foreign = hands.push()
    hands.claim_one(worker=hands.new_worker())
    assert broker.cancel("lane", asked, "stop") is CancelAnswer.ASKED
    assert broker.cancel("lane", foreign, "stop") is CancelAnswer.ASKED
    renewal = broker.renew([hands.worker], 30)
    assert renewal.cancel_requested == {asked}
    assert other not in renewal.cancel_requested


def test_registering_again_renews_the_lease_and_keeps_the_jobs(hands, broker, bench):
    record = ProcessRecord(clock.new_id(), "worker", "lane", "host", 42)
    broker.register(record, 30)
    hands.push()
    claimed = hands.claim_one(worker=record.id)
    bench.advance(20)
    broker.register(record, 30)
    bench.advance(20)
    broker.reap(QUEUES)
    assert hands.settle(claimed, worker=record.id)


def test_a_job_asked_to_cancel_does_not_come_back_from_a_dead_worker(hands, broker, bench):
    lost, interrupted = hands.push(), hands.push()
    hands.claim_one()
    other = hands.new_worker()
    hands.claim_one(worker=other)
    for job_id in (lost, interrupted):
        broker.cancel("lane", job_id, "not wanted")
    hands.release(hands.worker, lost=True)
    hands.release(other, lost=False)
    assert bench.record(lost).state == bench.record(interrupted).state == State.CANCELLED
    assert bench.counters("lane") == {"cancelled": 2, "lost": 1}


def test_a_job_lost_too_often_is_claimed_only_alone(hands, broker):
    suspect = hands.push()
    hands.lose(LOSS_RULES.alone_after)
    bystander = hands.push()
    assert hands.claim_ids() == [bystander]
    assert broker.waits_alone(["lane", "other"]) == {"lane"}
    more = hands.push()
    assert hands.claim_ids(alone=True) == [suspect]
    assert hands.claim_ids() == [more]


def test_waits_alone_is_silent_while_such_a_job_runs_or_is_not_due(hands, broker, bench):
    hands.push()
    assert broker.waits_alone(["lane"]) == frozenset()
    hands.lose(LOSS_RULES.alone_after)
    claimed = hands.claim_one(alone=True)
    assert broker.waits_alone(["lane"]) == frozenset()
    hands.settle(claimed, Retried(10, "broken"))
    assert broker.waits_alone(["lane"]) == frozenset()
    bench.advance(11)
    assert broker.waits_alone(["lane"]) == {"lane"}
    broker.pause("lane")
    assert broker.waits_alone(["lane"]) == frozenset()


def test_a_lone_claim_knows_when_the_next_job_is_due(hands, bench):
    hands.push()
    hands.lose(LOSS_RULES.alone_after)
    hands.settle(hands.claim_one(alone=True), Retried(10, "broken"))
    assert 5 < hands.exchange(alone=True).wait <= 10
    assert hands.exchange().wait is None


def test_a_job_that_kills_every_worker_ends_as_a_dead_letter(hands, broker, bench):
    poison = hands.push()
    hands.lose(LOSS_RULES.dead_after)
    record = bench.record(poison)
    assert (record.state, record.lost, record.attempts) == (State.FAILED, LOSS_RULES.dead_after, 0)
    assert "killed its worker" in record.error
    assert bench.counters("lane") == {"lost": LOSS_RULES.dead_after, "failed": 1}
    assert broker.waits_alone(["lane"]) == frozenset()


def test_reap_tells_of_the_dead_letters_it_made(hands, broker, bench):
    hands.push()
    hands.lose(LOSS_RULES.dead_after - 1)
    hands.claim_one(alone=True)
    bench.advance(31)
    assert broker.reap(QUEUES) == Reaped(lost=1, failed=1)


def test_a_retried_dead_letter_is_no_suspect_any_more(hands, broker):
    poison = hands.push()
    hands.lose(LOSS_RULES.dead_after)
    hands.push_all([hands.new_job(id=poison, run=2)])
    claimed = hands.claim_one()
    assert (claimed.id, claimed.lost) == (poison, 0)


def test_reap_ends_queued_jobs_whose_time_has_passed(hands, broker, bench):
    late = [hands.push(expires_in=10), hands.push(expires_in=10, delay=60), hands.push(expires_in=10, queue="other")]
    kept = hands.push(expires_in=100)
    running = hands.push(expires_in=10, priority=1)
    claimed = hands.claim_one()
    assert claimed.id == running
    broker.renew([hands.worker], 100)
    bench.advance(11)
    assert broker.reap(QUEUES) == Reaped(expired=3)
    assert {bench.record(job_id).state for job_id in late} == {State.EXPIRED}
    assert hands.settle(claimed)
    assert hands.claim_ids() == [kept]
