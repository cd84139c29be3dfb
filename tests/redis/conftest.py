"""A broker on a Redis server of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from jobs.broker.database.markers import DatabaseMarkers
from jobs.broker.redis.broker import RedisBroker
from tests.contract.hands import Hands
from tests.each_broker import as_the_broker
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
    with as_the_broker(broker, monkeypatch):
        yield broker
