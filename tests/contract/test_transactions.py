"""A job that ends with the caller's transaction: what makes an atomic task's effects exactly-once (G3)."""

from contextlib import suppress

import pytest
from django.db import transaction

from jobs.broker.records import Completed, Failed, HandedBack
from jobs.errors import LeaseLost
from jobs.states import State

from .conftest import OF_TRANSACTIONS

pytestmark = pytest.mark.parametrize("bench", OF_TRANSACTIONS, indirect=True)


class Undone(Exception):
    pass


def end_atomically(hands, claimed, result):
    """Let a job end in a transaction; False: it is not this worker's any more, and that is rolled back."""
    settlement = hands.settlement(claimed, Completed(result))
    with suppress(Undone, LeaseLost), transaction.atomic():
        assert hands.broker.begin_atomic(hands.worker, hands.policy, claimed) is None
        if hands.broker.settle_in_transaction(hands.worker, hands.policy, settlement).counted:
            return settlement
        raise Undone
    return None


def settle_behind(hands, settlement):
    """What follows the COMMIT."""
    if not hands.broker.after_atomic(hands.worker, hands.policy, settlement):
        assert hands.exchange(settlement, wanted=0).settled[0].counted


def test_job_ends_with_the_transaction(hands, broker, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    settle_behind(hands, end_atomically(hands, claimed, "1"))
    assert (bench.record(job_id).state, bench.record(job_id).result) == (State.COMPLETED, "1")
    assert bench.record(job_id).timeline == [(1, "completed")]
    assert bench.counters("lane") == {"completed": 1}
    assert not hands.settle(claimed, Failed("late"))


def test_rollback_takes_the_end_back(hands, broker, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    with pytest.raises(Undone), transaction.atomic():
        assert end_atomically(hands, claimed, "1")
        raise Undone
    assert broker.holds("lane", job_id, claimed.token)
    assert hands.settle(claimed, Failed("broken"))
    assert bench.record(job_id).timeline == [(1, "failed")]


def test_end_in_a_transaction_is_refused_when_the_lease_was_lost(hands, broker, bench):
    job_id = hands.push()
    old = hands.claim_one()
    hands.settle(old, HandedBack("stopping"))
    new = hands.claim_one()
    assert end_atomically(hands, old, "1") is None
    assert broker.holds("lane", job_id, new.token)
    settle_behind(hands, end_atomically(hands, new, "2"))
    assert bench.record(job_id).result == "2"


def test_lease_lost_before_the_end_of_the_transaction_refuses_it(hands, broker):
    hands.push()
    claimed = hands.claim_one()
    with transaction.atomic():
        broker.begin_atomic(hands.worker, hands.policy, claimed)
    hands.settle(claimed, HandedBack("stopping"))
    with transaction.atomic():
        settled = broker.settle_in_transaction(hands.worker, hands.policy, hands.settlement(claimed, Completed()))
    assert not settled.counted


def test_settle_outside_a_transaction_is_an_error(hands, broker):
    job_id = hands.push()
    claimed = hands.claim_one()
    with pytest.raises(transaction.TransactionManagementError):
        broker.settle_in_transaction(hands.worker, hands.policy, hands.settlement(claimed, Completed()))
    assert broker.holds("lane", job_id, claimed.token)


def test_job_whose_worker_dies_behind_the_commit_has_ended_once(hands, broker, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    assert end_atomically(hands, claimed, "1")
    assert broker.has_committed(claimed)
    hands.release(hands.worker, lost=True)
    hands.worker = hands.new_worker()
    for again in hands.claim():
        with transaction.atomic():
            done = broker.begin_atomic(hands.worker, hands.policy, again)
        assert done.result == "1"
        assert hands.settle(again, done)
    assert (bench.record(job_id).state, bench.record(job_id).result) == (State.COMPLETED, "1")
    assert bench.counters("lane")["completed"] == 1
