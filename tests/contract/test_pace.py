"""The rolling rate limit (G7)."""

import pytest

from jobs.broker.contract import PACE_GUARD
from jobs.broker.records import Completed, Failed, GivenUp, HandedBack
from jobs.policy import QueuePolicy, RateLimit

PACED = QueuePolicy("lane", rate_limit=RateLimit(3, per=10))


def test_no_more_than_the_limit_is_granted_in_a_window(hands, broker):
    hands.push_all([hands.new_job() for _ in range(8)])
    assert len(hands.claim(2, policy=PACED)) == 2
    assert len(hands.claim(10, policy=PACED, worker=hands.new_worker())) == 1
    assert hands.claim(10, policy=PACED) == []


def test_the_starts_of_the_present_period_can_be_asked(hands, broker, bench):
    assert broker.pace_of_queue("lane", PACED.rate_limit).taken == 0
    hands.push_all([hands.new_job() for _ in range(8)])
    hands.claim(2, policy=PACED)
    assert broker.pace_of_queue("lane", PACED.rate_limit).taken == 2
    assert broker.pace_of_queue("other", PACED.rate_limit).taken == 0
    bench.advance(4)
    hands.claim(2, policy=PACED)
    assert broker.pace_of_queue("lane", PACED.rate_limit).taken == 3
    bench.advance(7)
    assert broker.pace_of_queue("lane", PACED.rate_limit).taken == 1


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
    for free in (1, 2):
        # the guard is as long as exchanges take on this machine: the answer knows it
        wait = hands.exchange(policy=PACED).wait
        assert wait == pytest.approx(5 + PACE_GUARD, abs=1)
        bench.advance(wait)
        assert len(hands.claim(10, policy=PACED)) == free


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


@pytest.mark.parametrize("outcome", [HandedBack("too late"), GivenUp("asked before it started")], ids=repr)
def test_a_job_that_comes_back_unstarted_gives_its_slot_back(hands, broker, outcome):
    hands.push_all([hands.new_job() for _ in range(9)])
    jobs = hands.claim(3, policy=PACED)
    for job in jobs[:2]:
        assert hands.settle(job, outcome, started=False, policy=PACED)
    assert len(hands.claim(10, policy=PACED)) == 2
    # a settle and the claim beside it in one trip
    assert len(hands.exchange(hands.settlement(jobs[2], outcome, started=False), wanted=10, policy=PACED).jobs) == 1
    assert hands.claim(10, policy=PACED) == []


@pytest.mark.parametrize("outcome", [HandedBack("interrupted"), GivenUp("agreed"), Completed(), Failed("broken")])
def test_a_job_that_started_keeps_its_slot_however_it_ends(hands, broker, outcome):
    hands.push_all([hands.new_job() for _ in range(4)])
    for job in hands.claim(3, policy=PACED):
        assert hands.settle(job, outcome, policy=PACED)
    assert hands.claim(1, policy=PACED) == []


@pytest.mark.parametrize("lost", [True, False])
def test_jobs_of_a_process_that_is_gone_keep_their_slots(hands, broker, lost):
    hands.push_all([hands.new_job() for _ in range(4)])
    worker = hands.new_worker()
    assert len(hands.claim(3, policy=PACED, worker=worker)) == 3
    assert hands.release(worker, lost=lost) == 3
    assert hands.claim(1, policy=PACED) == []


def test_a_settlement_that_is_refused_gives_no_slot_back(hands, broker):
    hands.push_all([hands.new_job() for _ in range(4)])
    job, *_ = hands.claim(3, policy=PACED)
    assert hands.settle(job, HandedBack("too late"), started=False, policy=PACED)
    assert len(hands.claim(1, policy=PACED)) == 1
    assert not hands.settle(job, HandedBack("too late"), started=False, policy=PACED)
    assert hands.claim(1, policy=PACED) == []


def test_a_slot_that_comes_back_after_its_window_frees_no_other(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(9)])
    first = hands.claim(3, policy=PACED)
    bench.advance(10 + 2 * PACE_GUARD)
    assert len(hands.claim(3, policy=PACED)) == 3
    for job in first:
        assert hands.settle(job, HandedBack("too late"), started=False, policy=PACED)
    assert hands.claim(3, policy=PACED) == []


def test_a_job_handed_back_again_and_again_leaves_every_slot_free_in_the_end(hands, broker):
    hands.push_all([hands.new_job() for _ in range(3)])
    for _ in range(20):
        for job in hands.claim(3, policy=PACED):
            hands.settle(job, HandedBack("too late"), started=False, policy=PACED)
    assert len(hands.claim(3, policy=PACED)) == 3


def test_another_limit_in_the_policy_holds_from_the_next_claim_on(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(40)])
    lower, higher = (QueuePolicy("lane", rate_limit=RateLimit(limit, per=10)) for limit in (2, 5))
    assert len(hands.claim(3, policy=PACED)) == 3
    assert len(hands.claim(10, policy=higher)) == 2
    bench.advance(5)
    assert hands.claim(10, policy=lower) == []
    bench.advance(5 + 2 * PACE_GUARD)
    assert len(hands.claim(1, policy=higher)) == 1
    bench.advance(1)
    assert len(hands.claim(10, policy=lower)) == 1
    assert hands.claim(10, policy=lower) == []
    bench.advance(9 + PACE_GUARD)
    assert len(hands.claim(10, policy=lower)) == 1


def test_another_period_in_the_policy_holds_for_the_grants_that_were_made(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(20)])
    shorter, longer = (QueuePolicy("lane", rate_limit=RateLimit(3, per=per)) for per in (0.5, 30))
    assert len(hands.claim(3, policy=PACED)) == 3
    bench.advance(5)
    assert hands.exchange(policy=longer).wait == pytest.approx(25, abs=1)
    assert len(hands.claim(3, policy=shorter)) == 3
    bench.advance(11)
    assert hands.claim(3, policy=longer) == []
    assert len(hands.claim(3, policy=PACED)) == 3


def test_a_limit_taken_away_and_given_back_starts_with_a_window_that_holds(hands, broker, bench):
    hands.push_all([hands.new_job() for _ in range(20)])
    assert len(hands.claim(3, policy=PACED)) == 3
    assert len(hands.claim(5)) == 5
    assert hands.claim(3, policy=PACED) == []
    bench.advance(10 + 2 * PACE_GUARD)
    assert len(hands.claim(10, policy=PACED)) == 3


def test_a_paused_queue_takes_no_slot(hands, broker):
    hands.push_all([hands.new_job() for _ in range(3)])
    broker.pause("lane")
    assert hands.claim(3, policy=PACED) == []
    broker.resume("lane")
    assert len(hands.claim(10, policy=PACED)) == 3


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
    assert len(hands.claim(3, policy=other, worker=hands.new_worker(queue="other"))) == 3


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
