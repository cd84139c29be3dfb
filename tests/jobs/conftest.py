"""What the engine's tests share: a queue of their own and a worker in this thread."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from jobs import Fixed, Queue, clock
from jobs.broker import forget_broker, get_broker
from jobs.broker.records import ProcessRecord, Settlement
from jobs.work.announce import announce
from jobs.work.execution import execute


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> Queue:
    """A queue that only this test knows."""
    return Queue("test_lane", attempts=3, backoff=Fixed(0), concurrency=4)


@pytest.fixture
def work() -> Iterator[Callable[..., list[Settlement]]]:
    """`work(queue)`: claim and run what is due, one by one, until nothing is; returns the settlements in order."""
    broker = get_broker()
    numbers = count(1)
    worker = ProcessRecord(clock.new_id(), "worker", "test_lane", socket.gethostname(), 1, 1)

    def run(queue: Queue, limit: int = 100) -> list[Settlement]:
        broker.register(worker, 30)
        done: list[Settlement] = []
        for _ in range(limit):
            claimed = broker.exchange(worker.id, queue.policy, [], 1, number=next(numbers)).jobs
            if not claimed:
                return done
            settlement = execute(claimed[0], queue, worker.id)
            if settlement is not None:
                done.append(settlement)
                settled = broker.exchange(worker.id, queue.policy, [settlement], 0, number=next(numbers)).settled[0]
                if settled.counted:
                    announce(queue, settlement, settled.state)
        raise AssertionError(f"still busy after {limit} jobs")

    yield run
    forget_broker()
