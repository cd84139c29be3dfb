"""Rows that a stranger holds locked: what stands in them is delayed, and nothing else."""

import threading
import time

import pytest
from msgspec.structs import replace

from jobs.broker.database.postgresql import connection
from jobs.broker.database.postgresql.exchange import exchange_jobs
from jobs.broker.lanes import lane_of
from jobs.broker.records import Answer, CancelAnswer, Completed, HandedBack, Postponed, Reaped, Released
from jobs.models import Grant
from jobs.policy import Limit, QueuePolicy, RateLimit
from jobs.states import State
from tests.contract.hands import QUEUES, Hands

#: SQLite has one lock for everything
pytestmark = pytest.mark.postgresql

GLOBAL = QueuePolicy("lane", global_concurrency=100)
PACED = QueuePolicy("lane", rate_limit=RateLimit(1_000, per=1))
#: What "does not wait" may cost on a busy machine, and for how long whoever waits for a lock does so here, in seconds.
AT_ONCE, WAIT = 20, 60


@pytest.fixture(autouse=True)
def _who_waits_for_a_lock_waits_long(monkeypatch):
    patient = f"SET lock_timeout = '{WAIT}s'; SET statement_timeout = '{WAIT}s';"
    monkeypatch.setattr(connection, "_SESSION", connection._SESSION + patient)


@pytest.fixture
def quickly():
    """The test must be over before a wait for a lock would be."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_ONCE


def answers(exchange):
    return [settled.answer for settled in exchange.settled]


@pytest.mark.parametrize("policy", [QueuePolicy("lane"), GLOBAL, PACED], ids=["free", "global", "paced"])
def test_a_locked_job_is_busy_and_the_rest_is_settled_and_claimed(bench, hands, policy, quickly):
    for _ in range(4):
        hands.push()
    locked, other = hands.claim(2, policy=policy)
    with bench.locked("jobs_job", "id", locked.id):
        exchange = hands.exchange(
            hands.settlement(locked, Completed()), hands.settlement(other, Completed()), policy=policy
        )
        assert answers(exchange) == [Answer.BUSY, Answer.COUNTED]
        assert len(exchange.jobs) == 2
    assert answers(hands.exchange(hands.settlement(locked, Completed()), policy=policy)) == [Answer.COUNTED]
    assert bench.record(locked.id).state == State.COMPLETED


def test_a_busy_answer_is_repeated_to_the_same_number(bench, hands, quickly):
    hands.push()
    claimed = hands.claim_one()
    settlement = hands.settlement(claimed, Completed())
    with bench.locked("jobs_job", "id", claimed.id):
        assert answers(hands.exchange(settlement, number=10)) == [Answer.BUSY]
    assert answers(hands.exchange(settlement, number=10)) == [Answer.BUSY]
    assert answers(hands.exchange(settlement, number=11)) == [Answer.COUNTED]


def test_a_locked_job_with_an_old_token_is_refused_not_busy(bench, hands, quickly):
    hands.push()
    claimed = hands.claim_one()
    with bench.locked("jobs_job", "id", claimed.id):
        late = hands.settlement(replace(claimed, token="77"), Completed())
        assert answers(hands.exchange(late)) == [Answer.REFUSED]


def test_a_cancellation_in_an_open_transaction_delays_its_own_job_only(bench, hands, broker):
    running, others = hands.push(), [hands.push() for _ in range(20)]
    claimed = hands.claim_one()
    assert claimed.id == running
    asked, go_on = threading.Event(), threading.Event()

    def cancel():
        with bench.transaction():
            broker.cancel("lane", running, "not wanted")
            broker.cancel("lane", others[0], "not wanted")
            asked.set()
            go_on.wait(60)

    thread = threading.Thread(target=cancel)
    thread.start()
    assert asked.wait(60)
    try:
        began = time.monotonic()
        exchange = hands.exchange(hands.settlement(claimed, Completed()), wanted=30)
        again = hands.exchange(*(hands.settlement(job, Completed()) for job in exchange.jobs))
        # the open transaction holds a row of counters, too
        assert broker.cancel("lane", hands.push(), "not wanted") is CancelAnswer.CANCELLED
        assert time.monotonic() - began < AT_ONCE
    finally:
        go_on.set()
        thread.join(60)
    assert answers(exchange) == [Answer.BUSY]
    assert [job.id for job in exchange.jobs] == others[1:]
    assert set(answers(again)) == {Answer.COUNTED}
    assert hands.settle(claimed)
    assert bench.counters("lane") == {"completed": 20, "cancelled": 2}


@pytest.mark.parametrize("policy", [QueuePolicy("lane"), GLOBAL, PACED], ids=["free", "global", "paced"])
def test_a_locked_row_of_the_queue_stops_no_settlement(bench, hands, broker, policy, quickly):
    broker.resume("lane")
    hands.push()
    claimed = hands.claim_one(policy=policy)
    broker.pause("lane")
    broker.resume("lane")
    with bench.locked("jobs_queuestate", "queue", "lane"):
        assert answers(hands.exchange(hands.settlement(claimed, Completed()), policy=policy)) == [Answer.COUNTED]


@pytest.mark.parametrize("outcome", [HandedBack("stopping"), Postponed(5, "429", whole_queue=True)], ids=repr)
def test_what_must_be_written_into_a_locked_row_of_the_queue_is_busy(bench, hands, broker, outcome, quickly):
    broker.pause("lane")
    broker.resume("lane")
    hands.push()
    claimed = hands.claim_one()
    with bench.locked("jobs_queuestate", "queue", "lane"):
        assert answers(hands.exchange(hands.settlement(claimed, outcome), wanted=0)) == [Answer.BUSY]
    assert hands.settle(claimed, outcome)


def test_a_release_gives_back_the_rest_and_tells_what_remains(bench, hands, broker, quickly):
    ids = [hands.push() for _ in range(3)]
    hands.claim(3)
    with bench.locked("jobs_job", "id", ids[1]):
        assert broker.release(hands.record(hands.worker), lost=False) == Released(2, (ids[1],))
        assert hands.claim_ids(worker=hands.new_worker()) == [ids[0], ids[2]]
    assert broker.release(hands.record(hands.worker), lost=False) == Released(1)
    assert broker.release(hands.record(hands.worker), lost=False) == Released()
    assert bench.record(ids[1]).timeline == [(None, "interrupted")]


def test_what_remained_of_a_release_is_given_back_by_a_reaper_and_not_counted_as_lost(bench, hands, broker, quickly):
    job_id = hands.push()
    hands.claim_one()
    with bench.locked("jobs_job", "id", job_id):
        assert broker.release(hands.record(hands.worker), lost=False).remaining == (job_id,)
        assert broker.reap(QUEUES) == Reaped()
        assert broker.renew([hands.worker], 30).alive == frozenset()
        assert hands.exchange().jobs == ()
    assert broker.reap(QUEUES) == Reaped()
    assert (bench.record(job_id).lost, bench.record(job_id).timeline) == (0, [(None, "interrupted")])
    assert hands.claim_ids(worker=hands.new_worker()) == [job_id]


def test_a_locked_job_of_one_dead_process_does_not_keep_the_reaper_from_the_others(bench, broker, quickly):
    hands = Hands(broker, lease=30)
    others = [hands.new_worker() for _ in range(3)]
    ids = [hands.push() for _ in range(4)]
    for worker in (hands.worker, *others):
        hands.claim_one(worker=worker)
    bench.advance(31)
    with bench.locked("jobs_job", "id", ids[1]):
        assert broker.reap(QUEUES) == Reaped(lost=3)
    assert broker.reap(QUEUES) == Reaped(lost=1)


def test_a_process_that_renews_at_this_moment_is_not_reaped(bench, broker, quickly):
    hands = Hands(broker, lease=30)
    other = hands.new_worker()
    job_id = hands.push()
    claimed, _ = hands.claim_one(), hands.push()
    hands.claim_one(worker=other)
    bench.advance(31)
    with bench.locked("jobs_process", "id", hands.worker):
        assert broker.reap(QUEUES) == Reaped(lost=1)
    assert broker.renew([hands.worker], 30).alive == {hands.worker}
    assert broker.reap(QUEUES) == Reaped()
    assert broker.holds("lane", job_id, claimed.token)


def test_a_locked_job_of_a_group_lets_its_group_give_the_next(bench, hands, quickly):
    first, second, third = (hands.push(group="a", lane="a") for _ in range(3))
    other = hands.push(group="b", lane="b")
    with bench.locked("jobs_job", "id", first):
        assert hands.claim_ids(2) == [other, second]
        assert hands.claim_ids(1) == [third]
    assert hands.claim_ids() == [first]


def test_a_grant_that_is_over_and_locked_stops_no_claim_under_its_limit(bench, hands, quickly):
    # who gives slots of it back holds it, and may wait for the lock of the limit
    policy = QueuePolicy("lane", limits={"app.sync": (Limit("hubspot", RateLimit(1, per=1)),)})
    for _ in range(2):
        hands.push(task="app.sync", lane=lane_of("", "app.sync", ruled=True))
    assert len(hands.claim(policy=policy)) == 1
    bench.advance(60)
    with bench.locked("jobs_grant", "id", Grant.objects.get().pk):
        assert len(hands.claim(policy=policy)) == 1
    assert Grant.objects.count() == 2


def test_a_picked_job_that_was_put_off_or_moved_meanwhile_is_not_claimed(bench, hands):
    later, due, other = (
        hands.push(delay=50),
        hands.push(),
        Hands(bench.broker, policy=QueuePolicy("other")).push(queue="other"),
    )
    with bench.broker._database.write() as trip:
        found = exchange_jobs(trip, hands.new_worker(), "lane", (), 3, ids=[later, due, other])
    assert [job.id for job in found.jobs] == [due]


def test_a_group_that_somebody_changes_stops_no_claim_once_its_wait_is_over(bench, hands, quickly):
    for group in ("a", "b", "a"):
        hands.push(group=group, lane=lane_of(group, "app.task"))
    assert hands.settle(hands.claim_one(), Postponed(20, "slow down", whole_group=True))
    assert [job.group for job in hands.claim()] == ["b"]
    bench.advance(21)
    with bench.locked("jobs_groupstate", "name", "a"):
        assert [job.group for job in hands.claim()] == ["a", "a"]
