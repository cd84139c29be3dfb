"""The reaper's duty."""

import logging
from datetime import timedelta

import pytest

from jobs import clock
from jobs.broker import get_broker
from jobs.keeper import reap
from tests.contract.hands import Hands

pytestmark = pytest.mark.django_db


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
