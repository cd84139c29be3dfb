"""Limits that tasks of several queues share: exact over all of them, and who must wait keeps its place."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from jobs.broker.contract import PACE_GUARD
from jobs.broker.lanes import lane_of
from jobs.broker.records import Completed, HandedBack
from jobs.policy import Limit, QueuePolicy, RateLimit
from tests.contract.hands import Hands

HUBSPOT = Limit("hubspot", RateLimit(3, per=10))
OTHER = Limit("other", RateLimit(2, per=10))
LANE = QueuePolicy("lane", limits={"app.sync": (HUBSPOT,), "app.both": (HUBSPOT, OTHER)})
BESIDE = QueuePolicy("other", limits={"app.pull": (HUBSPOT,)})


def limited(hands, task="app.sync", policy=LANE, **options):
    lane = lane_of(options.get("group", ""), task, ruled=True)
    return hands.new_job(queue=policy.name, task=task, lane=lane, **options)


def claim(hands, wanted=10, **options):
    """Claim until there is nothing that could start at once; a store may need a look to know what it lacks."""
    jobs = []
    for _ in range(20):
        answer = hands.exchange(wanted=wanted - len(jobs), **options)
        jobs += answer.jobs
        if len(jobs) == wanted or answer.wait != 0:
            break
    return jobs, answer.wait


@pytest.fixture
def beside(broker):
    return Hands(broker, policy=BESIDE)


def test_tasks_of_two_queues_share_one_window(hands, beside, bench):
    hands.push_all([limited(hands) for _ in range(5)])
    beside.push_all([limited(beside, "app.pull", BESIDE) for _ in range(5)])
    assert len(claim(hands, 2, policy=LANE)[0]) == 2
    jobs, wait = claim(beside, policy=BESIDE)
    assert len(jobs) == 1
    assert wait == pytest.approx(10, abs=1)
    assert claim(hands, policy=LANE)[0] == []
    assert [hands.broker.pace_of(limit).taken for limit in (HUBSPOT, OTHER)] == [3, 0]
    bench.advance(10 + 1)
    assert beside.broker.pace_of(HUBSPOT).taken == 0
    assert len(claim(hands, policy=LANE)[0]) == 3
    assert claim(beside, policy=BESIDE)[0] == []


def test_it_is_told_how_much_of_a_limit_is_taken_and_when_the_next_start_is_free(hands, bench):
    rate = RateLimit(2, per=10)
    policy = QueuePolicy("lane", rate_limit=rate, limits={"app.sync": (HUBSPOT,)})
    assert hands.broker.pace_of_queue("lane", rate).taken == 0
    hands.push_all([limited(hands) for _ in range(5)])
    began = hands.broker.now()
    assert len(claim(hands, 2, policy=policy)[0]) == 2
    paces = [hands.broker.pace_of_queue("lane", rate), hands.broker.pace_of(HUBSPOT)]
    assert [(pace.taken, pace.has_room) for pace in paces] == [(2, False), (2, True)]
    free = [None if pace.frees_at is None else (pace.frees_at - began).total_seconds() for pace in paces]
    assert free == [pytest.approx(10, abs=1.5), None]
    bench.advance(12)
    assert hands.broker.pace_of_queue("lane", rate).taken == 0


def test_jobs_at_an_exhausted_limit_are_passed_over_and_keep_their_place(hands, bench):
    first = [limited(hands) for _ in range(5)]
    hands.push_all(first)
    plain = [hands.new_job() for _ in range(3)]
    hands.push_all(plain)
    jobs, _ = claim(hands, 10, policy=LANE)
    assert [job.id for job in jobs if job.task == "app.task"] == [job.id for job in plain]
    assert {job.id for job in jobs if job.task == "app.sync"} == {job.id for job in first[:3]}
    ready_at = hands.broker.find("lane", first[3].id).ready_at
    for job in jobs:
        hands.settle(job, policy=LANE)
    hands.push_all([limited(hands) for _ in range(3)])
    bench.advance(11)
    jobs, _ = claim(hands, 2, policy=LANE)
    assert [job.id for job in jobs] == [job.id for job in first[3:]]
    assert jobs[0].ready_at == ready_at


def test_a_job_needs_room_of_each_of_its_limits(hands):
    hands.push_all([limited(hands, "app.both") for _ in range(5)])
    hands.push_all([limited(hands) for _ in range(5)])
    jobs, _ = claim(hands, policy=LANE)
    assert sorted(job.task for job in jobs) == ["app.both", "app.both", "app.sync"]


def test_no_rolling_window_holds_more_than_the_limit(hands, beside, bench):
    hands.push_all([limited(hands) for _ in range(40)])
    beside.push_all([limited(beside, "app.pull", BESIDE) for _ in range(40)])
    grants = []
    for step in range(60):
        bench.advance(0.9 if step % 3 else 1.9)
        one, policy = (hands, LANE) if step % 2 else (beside, BESIDE)
        grants += [job.claimed_at for job in claim(one, 1 + step % 3, policy=policy)[0]]
    assert len(grants) >= 15
    gaps = [(later - first).total_seconds() for first, later in zip(grants, grants[3:], strict=False)]
    assert min(gaps) > 10


def test_a_start_that_never_was_gives_its_slot_back_and_one_that_was_keeps_it(hands):
    hands.push_all([limited(hands) for _ in range(9)])
    jobs, _ = claim(hands, 3, policy=LANE)
    assert all(job.start_by is not None for job in jobs)
    assert hands.settle(jobs[0], HandedBack("too late"), started=False, policy=LANE)
    assert hands.settle(jobs[1], Completed(), policy=LANE)
    assert len(claim(hands, policy=LANE)[0]) == 1
    assert claim(hands, policy=LANE)[0] == []


def test_slots_that_found_no_job_are_not_used_up(hands, beside):
    hands.push_all([limited(hands)])
    for _ in range(5):
        claim(hands, policy=LANE)
    beside.push_all([limited(beside, "app.pull", BESIDE) for _ in range(5)])
    assert len(claim(beside, policy=BESIDE)[0]) == 2


def test_groups_take_turns_under_a_limit(hands):
    for group in ("a", "b"):
        hands.push_all([limited(hands, group=group) for _ in range(4)])
    jobs, _ = claim(hands, 10, policy=LANE)
    assert sorted(job.group for job in jobs) in (["a", "a", "b"], ["a", "b", "b"])


def test_a_lost_reply_brings_the_same_jobs_and_takes_no_slot_twice(hands):
    hands.push_all([limited(hands) for _ in range(9)])
    claim(hands, 1, policy=LANE)
    number = next(hands.numbers)
    first = hands.exchange(wanted=1, policy=LANE, number=number)
    again = hands.exchange(wanted=1, policy=LANE, number=number)
    assert [job.id for job in again.jobs] == [job.id for job in first.jobs]
    assert len(first.jobs) + 1 + len(claim(hands, policy=LANE)[0]) == 3


def test_claims_of_two_queues_at_once_never_pass_the_limit(hands, beside, bench):
    many = Limit("many", RateLimit(20, per=3_600))
    policies = [QueuePolicy("lane", limits={"app.sync": (many,)}), QueuePolicy("other", limits={"app.sync": (many,)})]
    for one, policy in zip((hands, beside), policies, strict=True):
        one.push_all([limited(one, policy=policy) for _ in range(30)])
    workers = [
        (one, policy, bench.another(), one.new_worker())
        for one, policy in zip((hands, beside), policies, strict=True)
        for _ in range(2)
    ]

    def claim_some(which):
        _, policy, broker, worker = workers[which]
        try:
            return sum(len(broker.exchange(worker, policy, (), 2, number=n).jobs) for n in range(1, 16))
        finally:
            broker.close()
            connections.close_all()

    with ThreadPoolExecutor(len(workers)) as threads:
        claimed = sum(threads.map(claim_some, range(len(workers))))
    left = len(claim(hands, 30, policy=policies[0])[0]) + len(claim(beside, 30, policy=policies[1])[0])
    assert claimed + left == 20


def test_the_guard_belongs_to_the_window(hands, bench):
    hands.push_all([limited(hands) for _ in range(6)])
    last = claim(hands, 3, policy=LANE)[0][-1]
    bench.advance(9.99)
    while not (granted := claim(hands, 1, policy=LANE)[0]):
        bench.advance(0.005)
    # on Redis the start was reserved, and its guard began, a moment before the claim
    guard = PACE_GUARD if hands.broker.rows_are_the_queue else 0.0
    assert (granted[0].claimed_at - last.claimed_at).total_seconds() >= 10 + guard
