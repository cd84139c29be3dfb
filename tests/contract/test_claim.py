"""Claiming: in order, on time, once, and only for the living."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs import clock
from jobs.broker.records import HandedBack, Postponed, Retried
from jobs.policy import QueuePolicy
from jobs.states import State


def test_an_empty_queue_gives_nothing_and_knows_of_nothing(hands):
    exchange = hands.exchange()
    assert (exchange.jobs, exchange.settled, exchange.wait) == ((), (), None)


def test_a_claim_takes_no_more_than_wanted(hands):
    ids = [hands.push() for _ in range(5)]
    assert hands.claim_ids(2) == ids[:2]
    assert hands.claim_ids(0) == []
    assert hands.claim_ids(10) == ids[2:]


def test_a_claim_takes_nothing_from_another_queue(hands):
    hands.push(queue="other")
    assert hands.claim_ids() == []


def test_jobs_start_by_priority_then_by_the_time_they_became_ready(hands):
    low, first, high, second = (hands.push(priority=priority) for priority in (-100, 0, 80, 0))
    late_but_high = hands.push(priority=80)
    assert hands.claim_ids() == [high, late_but_high, first, second, low]


def test_one_by_one_the_order_is_the_same(hands):
    low, first, high, second = (hands.push(priority=priority) for priority in (-100, 0, 80, 0))
    assert [hands.claim_one().id for _ in range(4)] == [high, first, second, low]


def test_jobs_of_one_push_start_in_the_order_of_their_ids(hands, broker):
    jobs = [hands.new_job() for _ in range(20)]
    hands.push_all(list(reversed(jobs)))
    assert hands.claim_ids(20) == [job.id for job in jobs]


def test_a_delayed_job_is_never_early(hands, bench):
    job_id = hands.push(delay=10)
    bench.advance(9)
    assert hands.claim_ids() == []
    bench.advance(1)
    claimed = hands.claim_one()
    assert claimed.id == job_id
    assert claimed.claimed_at >= claimed.ready_at


def test_a_delayed_job_takes_the_place_of_its_due_time(hands, bench):
    delayed = hands.push(delay=10)
    bench.advance(5)
    before = hands.push()
    bench.advance(10)
    after = hands.push()
    assert hands.claim_ids() == [before, delayed, after]


def test_one_by_one_the_due_time_decides_not_the_id(hands, bench):
    delayed = hands.push(delay=10)
    bench.advance(5)
    before = hands.push()
    bench.advance(10)
    assert [hands.claim_one().id for _ in range(2)] == [before, delayed]


def test_the_answer_says_how_long_nothing_is_due(hands, bench):
    hands.push(delay=3600)
    assert hands.exchange().wait == pytest.approx(3600, abs=5)
    hands.push(delay=60, priority=-37)
    assert hands.exchange().wait == pytest.approx(60, abs=5)
    bench.advance(60)
    exchange = hands.exchange()
    assert len(exchange.jobs) == 1
    assert exchange.wait == pytest.approx(3540, abs=5)


def test_a_far_job_of_the_same_priority_is_seen_behind_a_due_one(hands):
    hands.push(delay=30)
    hands.push()
    exchange = hands.exchange()
    assert len(exchange.jobs) == 1
    assert exchange.wait == pytest.approx(30, abs=5)


def test_the_answer_says_that_more_is_due(hands):
    for _ in range(3):
        hands.push()
    assert hands.exchange(wanted=2).wait == 0


def test_far_jobs_of_high_priority_do_not_hide_due_ones(hands, broker):
    hands.push_all([hands.new_job(priority=100, delay=1000) for _ in range(50)])
    due = hands.push(priority=-99)
    assert hands.claim_ids(1) == [due]


def test_a_retried_job_stands_behind_those_that_became_ready_before(hands, bench):
    first = hands.push()
    claimed = hands.claim_one()
    second = hands.push()
    bench.advance(1)
    hands.settle(claimed, Retried(0, "broken"))
    bench.advance(1)
    third = hands.push()
    assert hands.claim_ids() == [second, first, third]


def test_a_handed_back_job_keeps_its_place(hands, bench):
    first = hands.push()
    claimed = hands.claim_one()
    bench.advance(1)
    second = hands.push()
    hands.settle(claimed, HandedBack("stopping"))
    assert hands.claim_ids() == [first, second]


def test_only_one_of_many_claimers_gets_a_job(hands, broker):
    ids = [hands.push() for _ in range(60)]
    workers = [hands.new_worker() for _ in range(6)]

    def claim_all(worker):
        taken = []
        while jobs := broker.exchange(worker, hands.policy, [], 3, number=next(hands.numbers)).jobs:
            taken += [job.id for job in jobs]
        return taken

    with ThreadPoolExecutor(6) as pool:
        taken = [job_id for part in pool.map(claim_all, workers) for job_id in part]
    assert sorted(taken) == sorted(ids)


def test_an_unknown_worker_gets_nothing(hands):
    hands.push()
    assert hands.claim_ids(worker=clock.new_id()) == []


def test_a_worker_whose_lease_ended_gets_nothing(hands, bench):
    worker = hands.new_worker(lease=10)
    hands.push()
    bench.advance(11)
    assert hands.claim_ids(worker=worker) == []
    assert len(hands.claim_ids()) == 1


def test_a_renewed_worker_gets_jobs_again(hands, bench, broker):
    worker = hands.new_worker(lease=10)
    hands.push()
    bench.advance(11)
    broker.renew([worker], 10)
    assert len(hands.claim_ids(worker=worker)) == 1


def test_a_job_whose_time_passed_while_it_waited_ends_as_expired(hands, bench):
    job_id = hands.push(expires_in=10)
    bench.advance(11)
    alive = hands.push(expires_in=10)
    assert hands.claim_ids() == [alive]
    assert bench.record(job_id).state == State.EXPIRED
    assert bench.counters("lane") == {"expired": 1}


def test_the_claimed_job_tells_when_it_expires(hands, broker):
    hands.push(expires_in=10)
    claimed = hands.claim_one()
    assert (claimed.expires_at - claimed.ready_at).total_seconds() == pytest.approx(10, abs=1)


def test_expiry_counts_from_acceptance_not_from_the_due_time(hands, bench):
    job_id = hands.push(delay=20, expires_in=10)
    bench.advance(21)
    assert hands.claim_ids() == []
    assert bench.record(job_id).state == State.EXPIRED


def test_global_concurrency_bounds_the_active_jobs_of_all_workers(hands):
    policy = QueuePolicy("lane", global_concurrency=3)
    ids = [hands.push() for _ in range(5)]
    other = hands.new_worker()
    first = hands.claim(2, policy=policy)
    assert hands.claim_ids(2, policy=policy, worker=other) == [ids[2]]
    assert hands.claim_ids(2, policy=policy, worker=other) == []
    hands.settle(first[0], policy=policy)
    assert hands.claim_ids(2, policy=policy, worker=other) == [ids[3]]


def test_a_dead_worker_leaks_no_slot_of_the_global_concurrency(hands, broker):
    policy = QueuePolicy("lane", global_concurrency=1)
    other = hands.new_worker()
    hands.push()
    assert len(hands.claim(1, policy=policy)) == 1
    hands.release(hands.worker, lost=True)
    assert len(hands.claim(1, policy=policy, worker=other)) == 1


def test_settling_and_claiming_in_one_trip_uses_the_slot_that_became_free(hands):
    policy = QueuePolicy("lane", global_concurrency=1)
    first, second = hands.push(), hands.push()
    claimed = hands.claim_one(policy=policy)
    exchange = hands.exchange(hands.settlement(claimed, Postponed(60, "busy")), policy=policy)
    assert exchange.settled[0].counted
    assert [job.id for job in exchange.jobs] == [second]
    assert claimed.id == first
