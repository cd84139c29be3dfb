"""The rolling rate limit (G7)."""

import pytest

from jobs.broker.contract import PACE_GUARD
from jobs.broker.records import HandedBack
from jobs.policy import QueuePolicy, RateLimit

PACED = QueuePolicy("lane", rate_limit=RateLimit(3, per=10))


def test_no_more_than_the_limit_is_granted_in_a_window(hands, broker):
    hands.push_all([hands.new_job() for _ in range(8)])
    assert len(hands.claim(2, policy=PACED)) == 2
    assert len(hands.claim(10, policy=PACED, worker=hands.new_worker())) == 1
    assert hands.claim(10, policy=PACED) == []


def test_the_answer_says_when_the_next_slot_is_free(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(8)])
    hands.claim(1, policy=PACED)
    bench.advance(4)
    full = hands.exchange(policy=PACED)
    assert len(full.jobs) == 2
    assert full.wait == pytest.approx(6, abs=1)
    assert hands.exchange(policy=PACED).wait == pytest.approx(6, abs=1)


def test_slots_come_free_one_by_one_as_the_window_rolls(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(20)])
    assert len(hands.claim(1, policy=PACED)) == 1
    bench.advance(5)
    assert len(hands.claim(10, policy=PACED)) == 2
    bench.advance(5 + PACE_GUARD)
    assert len(hands.claim(10, policy=PACED)) == 1
    bench.advance(5)
    assert len(hands.claim(10, policy=PACED)) == 2


def test_no_rolling_window_ever_holds_more_than_the_limit(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(60)])
    grants = []
    for step in range(120):
        bench.advance(0.7 if step % 3 else 1.9)
        grants += [job.claimed_at for job in hands.claim(step % 4, policy=PACED)]
    assert len(grants) >= 30
    gaps = [(later - first).total_seconds() for first, later in zip(grants, grants[3:], strict=False)]
    assert min(gaps) > 10


def test_the_window_is_longer_by_the_guard(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(6)])
    last = hands.claim(3, policy=PACED)[-1]
    bench.advance(9.99)
    while not (granted := hands.claim(1, policy=PACED)):
        bench.advance(0.002)
    assert (granted[0].claimed_at - last.claimed_at).total_seconds() >= 10 + PACE_GUARD


def test_a_handed_back_job_keeps_its_slot_used(hands, broker):
    hands.push_all([hands.new_job() for _ in range(4)])
    for job in hands.claim(3, policy=PACED):
        hands.settle(job, HandedBack("too late"), started=False, policy=PACED)
    assert hands.claim(1, policy=PACED) == []


def test_slots_that_found_no_job_are_not_used_up(hands, broker):
    hands.push()
    assert len(hands.claim(10, policy=PACED)) == 1
    hands.claim(10, policy=PACED)
    hands.push_all([hands.new_job() for _ in range(5)])
    assert len(hands.claim(10, policy=PACED)) == 2


def test_settling_is_not_paced(hands, broker):
    hands.push_all([hands.new_job() for _ in range(3)])
    jobs = hands.claim(3, policy=PACED)
    assert all(hands.settle(job, policy=PACED) for job in jobs)


def test_queues_have_their_own_pace(hands, broker):
    hands.push_all([hands.new_job() for _ in range(3)])
    assert len(hands.claim(3, policy=PACED)) == 3
    other = QueuePolicy("other", rate_limit=RateLimit(3, per=10))
    hands.push_all([hands.new_job(queue="other") for _ in range(3)])
    assert len(hands.claim(3, policy=other)) == 3


def test_pace_and_global_concurrency_hold_together(hands, broker, bench):
    policy = QueuePolicy("lane", rate_limit=RateLimit(3, per=10), global_concurrency=2)
    hands.push_all([hands.new_job() for _ in range(9)])
    first = hands.claim(9, policy=policy)
    assert len(first) == 2
    hands.settle(first[0], policy=policy)
    second = hands.claim(9, policy=policy)
    assert len(second) == 1
    hands.settle(second[0], policy=policy)
    assert hands.claim(9, policy=policy) == []
    bench.advance(10 + 2 * PACE_GUARD)
    assert len(hands.claim(9, policy=policy)) == 1


def test_a_clock_set_back_blocks_a_limited_queue_for_one_window_and_not_for_ever(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(6)])
    bench.advance(3600)
    assert len(hands.claim(3, policy=PACED)) == 3
    bench.advance(-3590)
    assert hands.claim(10, policy=PACED) == []
    bench.advance(9)
    assert hands.claim(10, policy=PACED) == []
    bench.advance(1 + 2 * PACE_GUARD)
    assert len(hands.claim(10, policy=PACED)) == 3
