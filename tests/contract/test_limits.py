"""Limits that are set at run time, in place of those of a worker's policy."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from jobs.broker.records import HandedBack
from jobs.policy import AS_IN_CODE, AS_THE_CODE_SAYS, QueueLimits, QueuePolicy, RateLimit

FREE = QueuePolicy("lane")
PACED = QueuePolicy("lane", rate_limit=RateLimit(3, per=10))
BOUNDED = QueuePolicy("lane", global_concurrency=2)


@pytest.mark.parametrize(
    "limits",
    [
        AS_THE_CODE_SAYS,
        QueueLimits(rate_limit=RateLimit(7, per=2.5)),
        QueueLimits(rate_limit=None, concurrency=4),
        QueueLimits(global_concurrency=None),
        QueueLimits(RateLimit(100_000, per=86_400), 1_000, 100_000),
    ],
    ids=repr,
)
def test_what_was_set_is_told_to_every_process(broker, bench, limits):
    broker.set_limits("lane", QueueLimits(RateLimit(1), 1, 1))
    broker.set_limits("lane", limits)
    assert broker.limits("lane") == limits
    assert bench.another().limits("lane") == limits
    assert broker.limits("other") == AS_THE_CODE_SAYS


def test_a_rate_limit_holds_for_a_queue_whose_code_has_none(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(9)])
    assert len(hands.claim(2, policy=FREE)) == 2
    broker.set_limits("lane", QueueLimits(rate_limit=RateLimit(3, per=10)))
    assert len(hands.claim(10, policy=FREE)) == 3
    full = hands.exchange(policy=FREE)
    assert full.jobs == ()
    assert full.wait == pytest.approx(10, abs=1)
    bench.advance(full.wait)
    assert len(hands.claim(10, policy=FREE)) == 3


def test_a_worker_that_settles_beside_it_meets_a_new_limit_too(hands, broker):
    hands.push_all([hands.new_job() for _ in range(9)])
    job = hands.claim(1, policy=FREE)[0]
    broker.set_limits("lane", QueueLimits(rate_limit=RateLimit(2, per=10)))
    settled = hands.exchange(hands.settlement(job, HandedBack("x")), wanted=10, policy=FREE)
    assert settled.settled[0].counted
    # where it met the limit only there, it may come at once again
    assert len(settled.jobs) == 2 or settled.wait == 0
    assert len(settled.jobs) + len(hands.claim(10, policy=FREE)) == 2


@pytest.mark.parametrize(("first", "then"), [(3, 5), (5, 3), (3, None), (None, 3)])
def test_a_changed_rate_counts_what_was_granted_before(hands, broker, bench, first, then):
    hands.push_all([hands.new_job() for _ in range(30)])
    limit = [None if number is None else RateLimit(number, per=10) for number in (first, then)]
    broker.set_limits("lane", QueueLimits(rate_limit=limit[0]))
    granted = len(hands.claim(first or 2, policy=PACED))
    bench.advance(4)
    broker.set_limits("lane", QueueLimits(rate_limit=limit[1]))
    claimed = len(hands.claim(10, policy=PACED))
    assert claimed == {(3, 5): 2, (5, 3): 0, (3, None): 10, (None, 3): 3}[first, then]
    bench.advance(6.5)
    again = len(hands.claim(20 - granted - claimed, policy=PACED))
    # of what was granted at first a period has passed, of what came 4 s later it has not
    assert again == {(3, 5): 3, (5, 3): 3, (3, None): 7, (None, 3): 0}[first, then]


def test_no_rolling_window_holds_more_than_the_limit_that_was_set_before_it_began(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(120)])
    grants, changes = [], {20: 2, 50: 6, 80: 3, 110: 1}
    limits = [6]
    for step in range(140):
        if step in changes:
            broker.set_limits("lane", QueueLimits(rate_limit=RateLimit(changes[step], per=10)))
            limits.append(changes[step])
        bench.advance(0.7 if step % 3 else 1.9)
        policy = QueuePolicy("lane", rate_limit=RateLimit(6, per=10))
        jobs = hands.claim(step % 4, policy=policy) if step % 4 else []
        grants += [(job.claimed_at, limits[-1]) for job in jobs]
    assert len(grants) >= 30
    for at, limit in grants:
        window = [one for one, _ in grants if 0 <= (at - one).total_seconds() <= 10]
        assert len(window) <= limit


def test_a_limit_of_the_code_can_be_taken_away_and_comes_back(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(30)])
    assert len(hands.claim(10, policy=PACED)) == 3
    broker.set_limits("lane", QueueLimits(rate_limit=None))
    assert len(hands.claim(5, policy=PACED)) == 5
    assert len(hands.claim(5, policy=PACED)) == 5
    broker.set_limits("lane", AS_THE_CODE_SAYS)
    assert len(hands.claim(10, policy=PACED)) <= 3
    assert hands.claim(10, policy=PACED) == []


def test_jobs_under_a_limit_that_was_set_must_start_soon_and_give_their_slot_back_if_not(hands, broker):
    hands.push_all([hands.new_job() for _ in range(9)])
    broker.set_limits("lane", QueueLimits(rate_limit=RateLimit(2, per=10)))
    job, other = hands.claim(2, policy=FREE)
    assert job.start_by is not None
    assert other.grant is not None
    assert hands.settle(job, HandedBack("too late"), started=False, policy=FREE)
    assert len(hands.claim(10, policy=FREE)) == 1


def test_a_global_concurrency_that_was_set_counts_what_runs_already(hands, broker):
    hands.push_all([hands.new_job() for _ in range(12)])
    running = hands.claim(3, policy=FREE)
    broker.set_limits("lane", QueueLimits(global_concurrency=2))
    assert hands.claim(10, policy=FREE, worker=hands.new_worker()) == []
    hands.settle(running[0], policy=FREE)
    assert hands.claim(10, policy=FREE) == []
    hands.settle(running[1], policy=FREE)
    assert len(hands.claim(10, policy=FREE)) == 1
    broker.set_limits("lane", QueueLimits(global_concurrency=4))
    assert len(hands.claim(10, policy=BOUNDED)) == 2
    broker.set_limits("lane", QueueLimits(global_concurrency=None))
    assert len(hands.claim(10, policy=BOUNDED)) == 6


def test_limits_and_a_pause_do_not_touch_each_other(hands, broker):
    hands.push_all([hands.new_job() for _ in range(5)])
    broker.set_limits("lane", QueueLimits(global_concurrency=1))
    broker.pause("lane")
    assert hands.claim(5, policy=FREE) == []
    broker.resume("lane")
    assert len(hands.claim(5, policy=FREE)) == 1
    assert broker.limits("lane") == QueueLimits(AS_IN_CODE, AS_IN_CODE, 1)


@pytest.mark.parametrize("wanted", [1, 4])
def test_a_bound_that_is_lowered_while_workers_claim_is_never_passed(hands, broker, bench, wanted):
    hands.push_all([hands.new_job() for _ in range(60)])
    brokers = [bench.another() for _ in range(4)]
    workers = [hands.new_worker() for _ in brokers]
    broker.set_limits("lane", QueueLimits(global_concurrency=20))

    def claim_some(which):
        try:
            return [
                job
                for number in range(1, 8)
                for job in brokers[which].exchange(workers[which], FREE, (), wanted, number=number).jobs
            ]
        finally:
            brokers[which].close()
            connections.close_all()

    with ThreadPoolExecutor(len(brokers)) as threads:
        claims = [threads.submit(claim_some, which) for which in range(len(brokers))]
        broker.set_limits("lane", QueueLimits(global_concurrency=5))
        held_at_least = broker.counts("lane").active
        claimed = sum(len(one.result()) for one in claims)
    active = broker.counts("lane").active
    assert active == claimed
    # what ran when it was set goes on; nothing was claimed on top of it
    assert active <= max(5, held_at_least)
    assert hands.claim(10, policy=FREE) == []
