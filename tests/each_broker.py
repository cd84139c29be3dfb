"""A fixture for what a project sees of jobs, whichever broker keeps them: once on each of the three."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

import pytest
import redis
from django.db import connections

from jobs import clock, defined
from jobs.broker import forget_broker, get_broker
from jobs.broker.contract import Broker
from jobs.broker.database.markers import DatabaseMarkers
from jobs.broker.records import ClaimedJob, ProcessRecord
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue import held_keys, outbox
from tests.databases import emptied, postgresql_as_default
from tests.servers import RedisServer


@cache
def redis_server() -> RedisServer:
    """One server for the whole run of tests."""
    server = RedisServer.create()
    server.start()
    return server


@contextmanager
def as_the_broker(broker: Broker, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever asks for the broker gets this one, and none has been away before.

    `patch` is the test's own: one that ends before it would be put back by what the test patches over it.
    """
    forget_broker()
    patch.setattr("jobs.broker._make_broker", lambda: broker)
    patch.setattr(outbox, "_away_until", 0.0)
    patch.setattr(held_keys, "_told", set())
    try:
        yield
    finally:
        forget_broker()


#: Where the suite itself runs on PostgreSQL there is no SQLite.
BROKERS = ("sqlite", "postgresql", "redis")
if not connections.settings["default"]["ENGINE"].endswith("sqlite3"):
    BROKERS = BROKERS[1:]


@pytest.fixture(params=BROKERS)
def each_broker(
    request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The test runs once on each broker, with real commits; the value is the broker's name."""
    forget_broker()
    with ExitStack() as stack:
        if request.param == "redis":
            with redis_client() as client:
                client.flushall()
            broker = RedisBroker(redis_server().url(), "tests", markers=DatabaseMarkers("default"))
            stack.enter_context(as_the_broker(broker, monkeypatch))
        elif request.param == "postgresql":
            stack.enter_context(postgresql_as_default())
            stack.enter_context(emptied())
        yield request.param
        forget_broker()


def redis_client() -> redis.Redis:
    """A stranger's hand on that server."""
    return redis.Redis.from_url(redis_server().url())


def claim(queue: str, wanted: int = 1) -> list[ClaimedJob]:
    """What a new worker of the queue claims; it never settles."""
    broker = get_broker()
    worker = ProcessRecord(clock.new_id(), "worker", queue, "here", 1, 10)
    broker.register(worker, 600)
    return list(broker.exchange(worker.id, defined.find_queue(queue).policy, [], wanted, number=1).jobs)
