"""Each test of this room runs on the three brokers, with a queue of its own."""

from __future__ import annotations

import pytest

from tests.each_broker import each_broker as each_broker
from tests.life_cycle.lane import lane


@pytest.fixture(autouse=True)
def _lane_is_configured(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})
