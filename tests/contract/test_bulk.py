"""Tasks that take several jobs in one call: how many a claim gives for it, when, and under which limits."""

import pytest

from jobs.broker.lanes import lane_of
from jobs.policy import Bulk, GroupRules, Limit, QueuePolicy, RateLimit

HUBSPOT = Limit("hubspot", RateLimit(5, per=10))
BULKS = {"app.store": Bulk(3), "app.late": Bulk(4, least=3, wait=10), "app.sync": Bulk(4)}
LANE = QueuePolicy("lane", bulks=BULKS, limits={"app.sync": (HUBSPOT,)})


def bulk_job(hands, task="app.store", **options):
    return hands.new_job(task=task, lane=lane_of(options.get("group", ""), task, ruled=True), **options)


def push(hands, number, task="app.store", **options):
    jobs = [bulk_job(hands, task, **options) for _ in range(number)]
    hands.push_all(jobs)
    return [job.id for job in jobs]


def claim(hands, wanted=1, policy=LANE, **options):
    answer = hands.exchange(wanted=wanted, policy=policy, **options)
    return [job.id for job in answer.jobs], answer.wait


def test_one_call_takes_several_jobs_of_its_task_and_each_other_job_a_call_of_its_own(hands):
    stored = push(hands, 5)
    plain = [hands.push() for _ in range(3)]
    assert claim(hands) == (stored[:3], 0)
    assert claim(hands, 5) == ([*stored[3:], *plain], None)
    assert claim(hands, 4) == ([], None)


def test_a_claim_that_is_repeated_brings_the_same_calls(hands):
    push(hands, 5)
    first = hands.exchange(wanted=2, policy=LANE, number=7)
    again = hands.exchange(wanted=2, policy=LANE, number=7)
    assert len(first.jobs) == 5
    assert [(job.id, job.token) for job in again.jobs] == [(job.id, job.token) for job in first.jobs]


def test_a_bulk_waits_for_its_least_number_or_its_longest_wait(hands, bench):
    late = push(hands, 2, "app.late")
    plain = hands.push()
    ids, wait = claim(hands, 5)
    assert ids == [plain]
    assert wait == pytest.approx(10, abs=1)
    late += push(hands, 2, "app.late")
    assert claim(hands, 5)[0] == late
    left = push(hands, 1, "app.late")
    assert claim(hands, 5)[0] == []
    bench.advance(10)
    assert claim(hands, 5)[0] == left


def test_what_a_call_leaves_behind_waits_for_the_least_number_again(hands):
    late = push(hands, 6, "app.late")
    ids, wait = claim(hands, 5)
    assert ids == late[:4]
    assert wait == pytest.approx(10, abs=1)


def test_jobs_of_a_higher_priority_start_before_the_others_of_their_task(hands):
    low, high = push(hands, 2), push(hands, 2, priority=20)
    assert claim(hands)[0] == high
    assert claim(hands)[0] == low


def test_a_call_takes_jobs_of_one_group_only_and_no_more_than_its_rules_allow(hands):
    first, second = push(hands, 4, group="a"), push(hands, 4, group="b")
    bounded = QueuePolicy("lane", bulks=BULKS, groups=GroupRules(concurrency=2))
    assert claim(hands)[0] == first[:3]
    assert claim(hands, policy=bounded)[0] == second[:2]
    assert claim(hands, 5, policy=bounded)[0] == []


def test_each_job_of_a_call_is_a_start_for_rate_limit_and_global_concurrency(hands, bench):
    stored = push(hands, 9)
    paced = QueuePolicy("lane", bulks=BULKS, rate_limit=RateLimit(4, per=10))
    assert claim(hands, 5, policy=paced)[0] == stored[:4]
    ids, wait = claim(hands, 5, policy=paced)
    assert ids == []
    assert wait == pytest.approx(10, abs=1)
    bench.advance(11)
    bounded = QueuePolicy("lane", bulks=BULKS, global_concurrency=6)
    assert claim(hands, 5, policy=bounded)[0] == stored[4:6]


def test_starts_that_count_no_more_make_no_call_smaller(hands, bench):
    paced = QueuePolicy("lane", bulks=BULKS, rate_limit=RateLimit(4, per=10))
    for _ in range(4):
        hands.push()
        assert len(claim(hands, policy=paced)[0]) == 1
    stored = push(hands, 3)
    bench.advance(11)
    assert claim(hands, policy=paced)[0] == stored


def test_each_job_of_a_call_is_a_start_for_a_shared_limit(hands):
    synced = push(hands, 7, "app.sync")
    ids = []
    for _ in range(5):
        ids += claim(hands, 5)[0]
    assert ids == synced[:5]
    assert hands.broker.pace_of(HUBSPOT).taken == 5


def test_a_job_that_was_lost_twice_runs_by_itself(hands):
    stored = push(hands, 3)
    for _ in range(2):
        worker = hands.new_worker()
        assert claim(hands, worker=worker)[0] == stored
        assert hands.release(worker, lost=True) == 3
    assert claim(hands)[0] == []
    assert claim(hands, alone=True)[0] == stored[:1]


def test_no_claim_brings_more_than_a_thousand_jobs_or_far_over_a_mebibyte(hands):
    many = QueuePolicy("lane", bulks={"app.store": Bulk(1_000)})
    push(hands, 1_000)
    push(hands, 200)
    ids, wait = claim(hands, 2, policy=many)
    assert (len(ids), wait) == (1_000, 0)
    assert len(claim(hands, 2, policy=many)[0]) == 200
    for _ in range(3):
        push(hands, 12, message='{"text": "%s"}' % ("x" * 60_000))
    assert 17 <= len(claim(hands, 2, policy=many)[0]) <= 19


def test_a_job_of_a_call_that_has_expired_does_not_take_the_others_along(hands, bench):
    stored = push(hands, 1, expires_in=1) + push(hands, 4)
    bench.advance(2)
    assert claim(hands)[0] == stored[1:4]
