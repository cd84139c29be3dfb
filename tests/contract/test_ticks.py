"""A tick becomes one job, on every broker, and knows whether the job of the tick before it lives (G8)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from jobs import Every, Queue, Tick
from jobs.broker.contract import Broker
from jobs.broker.records import Completed
from jobs.define.context import RunningJob
from jobs.keep import tick
from jobs.models import Schedule
from jobs.operate import schedules
from tests.each_broker import as_the_broker

from .conftest import OF_TRANSACTIONS, Bench
from .hands import Hands

pytestmark = pytest.mark.parametrize("bench", OF_TRANSACTIONS, indirect=True)
NOON = datetime(2026, 11, 23, 12, 0, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Keeper:
    """Runs the duty at times of the test's own."""

    def __init__(self) -> None:
        self.now = NOON

    def run(self, now: datetime, *, new: bool = False) -> int:
        self.now = now
        if new:
            tick.forget()
        return tick.run()


@pytest.fixture
def keeper(bench: Bench, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    found = Keeper()
    monkeypatch.setattr(tick, "get_broker", lambda: SimpleNamespace(now=lambda: found.now))
    tick.forget()
    with as_the_broker(broker, monkeypatch):
        yield found
    tick.forget()


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue("lane")
    monkeypatch.setattr(schedules, "queues", lambda: {"lane": queue})
    return queue


def test_tick_makes_one_job_however_many_keepers_run_and_the_job_knows_it(
    lane: Queue, keeper: Keeper, hands: Hands
) -> None:
    lane.task(name="t.each", schedule=Every(60))(lambda: None)
    assert keeper.run(NOON) == 0
    assert [keeper.run(NOON + MINUTE), keeper.run(NOON + MINUTE, new=True), keeper.run(NOON + MINUTE)] == [1, 0, 0]
    [claimed] = hands.claim()
    assert RunningJob(claimed, lambda: True).tick == Tick("t.each", datetime(2026, 11, 23, 12, 1, tzinfo=UTC))
    assert claimed.about == ("jobs.schedule", str(Schedule.objects.get().pk))
    assert hands.settle(claimed, Completed(None))
    assert hands.claim() == []


def test_tick_is_left_out_while_the_job_before_it_lives(lane: Queue, keeper: Keeper, hands: Hands) -> None:
    lane.task(name="t.each", schedule=Every(60, overlap="skip"))(lambda: None)
    assert [keeper.run(NOON + number * MINUTE) for number in range(3)] == [0, 1, 0]  # it waits
    [claimed] = hands.claim()
    assert keeper.run(NOON + 3 * MINUTE) == 0  # it runs
    assert hands.settle(claimed, Completed(None))
    assert [keeper.run(NOON + 3 * MINUTE), keeper.run(NOON + 4 * MINUTE)] == [0, 1]
    assert Schedule.objects.get().fired == 2


def test_tick_waits_for_the_end_of_the_job_before_it(lane: Queue, keeper: Keeper, hands: Hands) -> None:
    lane.task(name="t.each", schedule=Every(60, overlap="wait"))(lambda: None)
    assert [keeper.run(NOON + number * MINUTE) for number in range(2)] == [0, 1]
    [claimed] = hands.claim()
    # two ticks come meanwhile: one job follows
    assert [keeper.run(NOON + number * MINUTE) for number in (2, 3)] == [0, 0]
    assert hands.settle(claimed, Completed(None))
    assert [keeper.run(NOON + 3.2 * MINUTE), keeper.run(NOON + 3.3 * MINUTE, new=True)] == [1, 0]
    [claimed] = hands.claim()
    assert RunningJob(claimed, lambda: True).tick == Tick("t.each", datetime(2026, 11, 23, 12, 3, tzinfo=UTC))
