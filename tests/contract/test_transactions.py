"""Settling inside the caller's transaction: what makes an atomic task's effects exactly-once (G3)."""

import pytest
from django.db import transaction

from jobs.broker.records import Completed, Failed, HandedBack
from jobs.states import State


class Undone(Exception):
    pass


def test_a_settle_commits_with_the_transaction(hands, broker, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    with transaction.atomic():
        assert broker.settle_in_transaction(
            hands.worker, hands.policy, hands.settlement(claimed, Completed("1"))
        ).counted
    assert (bench.record(job_id).state, bench.record(job_id).result) == (State.COMPLETED, "1")
    assert bench.record(job_id).timeline == [(1, "completed")]
    assert bench.counters("lane") == {"completed": 1}
    assert not hands.settle(claimed, Failed("late"))


def test_a_rollback_takes_the_settle_back(hands, broker, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    with pytest.raises(Undone), transaction.atomic():
        assert broker.settle_in_transaction(
            hands.worker, hands.policy, hands.settlement(claimed, Completed("1"))
        ).counted
        raise Undone
    assert broker.holds("lane", job_id, claimed.token)
    assert hands.settle(claimed, Failed("broken"))
    assert bench.record(job_id).timeline == [(1, "failed")]


def test_a_settle_in_a_transaction_is_refused_when_the_lease_was_lost(hands, broker, bench):
    job_id = hands.push()
    old = hands.claim_one()
    hands.settle(old, HandedBack("stopping"))
    new = hands.claim_one()
    with transaction.atomic():
        assert not broker.settle_in_transaction(hands.worker, hands.policy, hands.settlement(old, Completed())).counted
    assert broker.holds("lane", job_id, new.token)


def test_a_settle_outside_a_transaction_is_an_error(hands, broker):
    job_id = hands.push()
    claimed = hands.claim_one()
    with pytest.raises(transaction.TransactionManagementError):
        broker.settle_in_transaction(hands.worker, hands.policy, hands.settlement(claimed, Completed()))
    assert broker.holds("lane", job_id, claimed.token)
