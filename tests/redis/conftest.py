"""A broker on a Redis server of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from jobs.broker import forget_broker
from jobs.broker.database.markers import DatabaseMarkers
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue import held_keys, outbox
from tests.contract.hands import Hands
from tests.servers import RedisServer


@pytest.fixture(scope="session")
def server() -> RedisServer:
    server = RedisServer.create()
    server.start()
    return server


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url()) as client:
        client.flushall()
        yield client


@pytest.fixture
def broker(server: RedisServer, client: redis.Redis) -> Iterator[RedisBroker]:
    broker = RedisBroker(server.url(), "tests", markers=DatabaseMarkers("default"))
    yield broker
    broker.close()


@pytest.fixture
def hands(broker: RedisBroker) -> Hands:
    return Hands(broker)


@pytest.fixture
def make_server() -> Iterator[object]:
    """Starts a server with settings of its own."""
    made: list[RedisServer] = []

    def make(**settings: str) -> RedisServer:
        server = RedisServer.create(**settings)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def redis_is_the_broker(broker: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisBroker]:
    """Whoever asks for the broker gets the one on Redis."""
    forget_broker()
    monkeypatch.setattr("jobs.broker._make_broker", lambda: broker)
    # whoever lets it go away does not mean the next test
    monkeypatch.setattr(outbox, "_away_until", 0.0)
    monkeypatch.setattr(held_keys, "_told", set())
    yield broker
    forget_broker()
