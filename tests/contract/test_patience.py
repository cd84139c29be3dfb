"""The keeper's reaper over every broker: who lives is never blamed, and who is dead is found."""

import pytest
from django.db import OperationalError

from jobs import clock
from jobs.errors import BrokerAway
from jobs.keep import reap
from tests.contract.hands import Hands


class Passing:
    """Lets time pass for the keeper and for the broker."""

    def __init__(self, bench, monkeypatch):
        self.bench, self.ahead, monotonic = bench, 0.0, clock.monotonic
        monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + self.ahead)

    def __call__(self, seconds):
        self.ahead += seconds
        self.bench.advance(seconds)

    def looking(self, seconds):
        """The same, while the keeper does its duty; returns how many jobs it moved."""
        moved = 0
        for _ in range(seconds):
            self(1)
            moved += reap.run()
        return moved


@pytest.fixture
def passing(bench, monkeypatch):
    """A keeper that has looked a moment ago, and time that passes as the test says."""
    monkeypatch.setattr(reap, "get_broker", lambda: bench.broker)
    monkeypatch.setattr(reap, "_looked_at", (clock.monotonic(), bench.broker.now()))
    monkeypatch.setattr(reap, "_patient_until", 0.0)
    return Passing(bench, monkeypatch)


@pytest.fixture
def hands(broker):
    """Workers with a lease of 30 seconds."""
    return Hands(broker, lease=30)


@pytest.mark.parametrize("outage", [45, 3600], ids=["longer than a lease", "an hour"])
def test_reaper_that_comes_first_after_an_outage_blames_nobody_who_lives(bench, hands, passing, outage, caplog):
    """The database was away, or its disk full, or all was frozen: nobody got through, the keeper neither."""
    hands.push()
    claimed = hands.claim_one()
    silent = hands.new_worker()
    hands.push()
    hands.claim_one(worker=silent)
    passing.looking(5)
    for _ in range(3):
        passing(outage / 3)
        with bench.out_of_reach(), pytest.raises((BrokerAway, OperationalError)):
            reap.run()

    # the keeper is the first that gets through, and the second
    assert reap.run() == 0
    passing(1)
    assert reap.run() == 0
    assert "reaper_paused" in caplog.text
    hands.broker.renew([hands.worker], 30)
    assert passing.looking(20) == 0
    hands.broker.renew([hands.worker], 30)
    # who is silent for one more term is dead
    assert passing.looking(15) == 1
    assert hands.settle(claimed)


def test_keeper_that_begins_when_the_database_is_back_blames_nobody_before_the_living_have_renewed(
    hands, passing, monkeypatch
):
    hands.push()
    claimed = hands.claim_one()
    passing(3600)
    monkeypatch.setattr(reap, "_looked_at", None)
    assert reap.run() == 0
    # the longest that a renewal lets wait for itself
    assert passing.looking(11) == 0
    hands.broker.renew([hands.worker], 30)
    assert passing.looking(20) == 0
    assert hands.settle(claimed)


def test_keeper_that_begins_gives_back_within_half_a_lease_what_the_dead_hold(hands, passing, monkeypatch):
    hands.push()
    hands.claim_one()
    passing(3600)
    monkeypatch.setattr(reap, "_looked_at", None)
    reap.run()
    assert passing.looking(16) == 1


def test_killed_workers_job_comes_back_after_its_lease_though_the_keeper_was_slow_for_a_while(hands, passing):
    hands.push()
    hands.claim_one()
    passing(9)
    assert reap.run() == 0
    # the real time passes too: on a busy machine some seconds
    assert passing.looking(15) == 0
    assert passing.looking(7) == 1
