"""Dead letters on each of the three brokers: a queue whose tasks fail, and a worker in this thread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from jobs import Queue, clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.history import live
from jobs.keep import causes as duty
from jobs.models import Job
from jobs.work.announce import announce
from jobs.work.execution import execute
from tests.each_broker import each_broker as each_broker

lane = Queue("dead_lane", attempts=1)

Work = Callable[[], int]


class Strange(Exception):
    """Says what it is told to."""


@lane.task(name="dead.fail")
def fail(text: str = "no luck", broken: bool = True) -> str:
    """Fails with this text, while it is broken."""
    if broken:
        raise Strange(text)
    return "done"


@lane.task(name="dead.masked", personal=("address",))
def fail_for(address: str, order: int) -> None:
    """Fails and tells of a person."""
    raise Strange(f"{address} is no address of order {order}")


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duty, "_noted", set())
    monkeypatch.setattr(duty, "_after", "")


@pytest.fixture
def work() -> Work:
    """Claim and run what is due on the lane, one by one; returns how many."""
    worker, numbers = ProcessRecord(clock.new_id(), "worker", lane.name, "here", 1, 1), count(1)

    def run() -> int:
        broker = get_broker()
        broker.register(worker, 600)
        for done in range(1_000):
            claimed = broker.exchange(worker.id, lane.policy, [], 1, number=next(numbers)).jobs
            if not claimed:
                live.hear([lane.name])
                return done
            settlement = execute(claimed[0], lane, worker.id)
            assert settlement is not None
            settled = broker.exchange(worker.id, lane.policy, [settlement], 0, number=next(numbers)).settled[0]
            announce(lane, settlement, settled.state)
        raise AssertionError("still busy")

    return run


def dead(number: int = 1, age: timedelta = timedelta(minutes=1), **fields: Any) -> list[Job]:
    """So many rows of dead letters, as a broker would have left them."""
    ended = clock.now() - age
    values: dict[str, Any] = {
        **{"queue": lane.name, "task": fail.name, "state": "failed", "cause": "c" * 16, "error": "Strange: no luck"},
        **{"created_at": ended, "ready_at": ended, "ended_at": ended, "attempts": 1},
        **{"message": '{"v":1,"args":[],"kwargs":{}}'},
    }
    rows = [Job(id=clock.new_id(), **{**values, **fields}) for _number in range(number)]
    return Job.objects.bulk_create(rows)
