"""A paused worker takes no more jobs, and ends well what it has."""

from __future__ import annotations

from typing import Any

from jobs import clock
from jobs.broker.contract import Broker
from tests.contract.hands import Hands


def test_paused_worker_claims_nothing_until_it_resumes(hands: Hands, broker: Broker) -> None:
    job_id = hands.push()
    assert broker.pause_worker("lane", hands.worker, paused=True)
    assert broker.pause_worker("lane", hands.worker, paused=True)
    assert hands.claim_ids() == []
    assert hands.exchange().wait is None
    assert broker.pause_worker("lane", hands.worker, paused=False)
    assert hands.claim_ids() == [job_id]


def test_others_go_on(hands: Hands, broker: Broker) -> None:
    other = hands.new_worker()
    job_id = hands.push()
    broker.pause_worker("lane", hands.worker, paused=True)
    assert [job.id for job in hands.claim(worker=other)] == [job_id]


def test_paused_worker_settles_what_it_has_and_takes_nothing_with_it(hands: Hands, broker: Broker) -> None:
    hands.push()
    claimed = hands.claim_one()
    next_id = hands.push()
    broker.pause_worker("lane", hands.worker, paused=True)
    assert broker.holds("lane", claimed.id, claimed.token)
    assert hands.settle(claimed)
    assert hands.claim_ids() == []
    assert hands.claim_ids(worker=hands.new_worker()) == [next_id]


def test_pause_stays_when_the_lease_is_renewed_and_goes_with_the_process(hands: Hands, broker: Broker) -> None:
    hands.push()
    broker.pause_worker("lane", hands.worker, paused=True)
    assert hands.worker in broker.renew([hands.worker], 60).alive
    assert hands.claim_ids() == []
    hands.release(hands.worker, lost=False)
    assert not broker.pause_worker("lane", hands.worker, paused=True)
    assert len(hands.claim(worker=hands.new_worker())) == 1


def test_unknown_worker_is_none(broker: Broker) -> None:
    assert not broker.pause_worker("lane", clock.new_id(), paused=True)


def test_paused_worker_of_a_queue_with_a_limit_claims_nothing(hands: Hands, broker: Broker) -> None:
    limited = Hands(broker, policy=_limited(hands.policy))
    limited.push()
    broker.pause_worker("lane", limited.worker, paused=True)
    assert limited.claim_ids() == []
    broker.pause_worker("lane", limited.worker, paused=False)
    assert len(limited.claim()) == 1


def _limited(policy: Any) -> Any:
    from dataclasses import replace

    return replace(policy, global_concurrency=5)


def test_processes_tell_who_is_paused(hands: Hands, broker: Broker) -> None:
    broker.pause_worker("lane", hands.worker, paused=True)
    seen = broker.processes()
    if seen is not None:
        assert {one.record.id: one.paused for one in seen}[hands.worker] is True
