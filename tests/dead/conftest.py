"""Dead letters on each of the three brokers: a queue whose tasks fail, and a worker in this thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import pytest
import redis

from jobs import Queue, clock
from jobs.broker import forget_broker, get_broker
from jobs.broker.database.markers import DatabaseMarkers
from jobs.broker.records import ProcessRecord
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue import held_keys, outbox
from jobs.history import live
from jobs.keep import causes as duty
from jobs.models import Job
from jobs.work.announce import announce
from jobs.work.execution import execute
from tests.databases import emptied, postgresql_as_default
from tests.servers import RedisServer

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


@cache
def redis_server() -> RedisServer:
    """One server for the whole run of tests."""
    server = RedisServer.create()
    server.start()
    return server


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def each_broker(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """The test runs once on each broker, with real commits; the value is the broker's name."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        forget_broker()
        if request.param == "redis":
            url = redis_server().url()
            with redis.Redis.from_url(url) as client:
                client.flushall()
            broker = RedisBroker(url, "tests", markers=DatabaseMarkers("default"))
            patch.setattr("jobs.broker._make_broker", lambda: broker)
            patch.setattr(outbox, "_away_until", 0.0)
            patch.setattr(held_keys, "_told", set())
        elif request.param == "postgresql":
            stack.enter_context(postgresql_as_default())
            stack.enter_context(emptied())
        yield request.param
        forget_broker()


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
