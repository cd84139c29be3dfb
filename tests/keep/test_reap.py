"""The reaper's duty."""

import logging
from datetime import timedelta

import pytest

from jobs import clock
from jobs.broker import get_broker
from jobs.keep import reap
from tests.contract.hands import Hands

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _a_keeper_that_has_been_looking(monkeypatch):
    monkeypatch.setattr(reap, "_looked_at", (clock.monotonic(), get_broker().now()))
    monkeypatch.setattr(reap, "_patient_until", 0.0)


@pytest.mark.sqlite
def test_the_duty_gives_back_and_says_so(monkeypatch, caplog):
    hands = Hands(get_broker(), lease=10)
    lost, _ = hands.push(), hands.push(delay=60, expires_in=5)
    hands.claim_one()
    later = clock.now() + timedelta(seconds=11)
    monkeypatch.setattr(clock, "now", lambda: later)
    with caplog.at_level(logging.WARNING, "jobs.keeper"):
        assert reap.run() == 2
    assert "reaped lost=1 failed=0" in caplog.text
    assert hands.claim_ids(worker=hands.new_worker()) == [lost]


def test_the_duty_is_silent_when_there_is_nothing(caplog):
    with caplog.at_level(logging.DEBUG, "jobs.keeper"):
        assert reap.run() == 0
    assert caplog.text == ""


@pytest.mark.sqlite
def test_after_a_jump_of_the_clock_leases_get_one_more_term_and_the_dead_are_found_all_the_same(monkeypatch, caplog):
    hands = Hands(get_broker(), lease=30)
    hands.push()
    hands.claim_one()
    ahead, jump, now, monotonic = [0.0], [0.0], clock.now, clock.monotonic
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(seconds=ahead[0] + jump[0]))
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + ahead[0])
    reap.run()
    jump[0] = 3600
    moved = []
    for ahead[0] in range(1, 40):
        moved.append(reap.run())
    assert "jumped=3600" in caplog.text
    assert (sum(moved), sum(moved[:29])) == (1, 0)
