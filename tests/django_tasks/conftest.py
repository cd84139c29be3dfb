"""The backend of ours as the project's, and each broker below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from django.test import override_settings

from jobs.broker import forget_broker
from jobs.broker.database.markers import DatabaseMarkers
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue import held_keys, outbox
from jobs.testing import run_jobs
from tests.databases import emptied, postgresql_as_default
from tests.django_tasks import tasks
from tests.servers import RedisServer


@pytest.fixture(autouse=True)
def backends() -> Iterator[None]:
    with override_settings(TASKS=tasks.TASKS):
        yield


@pytest.fixture(scope="session")
def redis_server() -> RedisServer:
    server = RedisServer.create()
    server.start()
    return server


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def each_broker(
    request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The test runs once on each broker, with real commits."""
    if request.param == "postgresql":
        with postgresql_as_default(), emptied():
            yield "postgresql"
        return
    forget_broker()
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        with redis.Redis.from_url(server.url()) as client:
            client.flushall()
        broker = RedisBroker(server.url(), "tests", markers=DatabaseMarkers("default"))
        monkeypatch.setattr("jobs.broker._make_broker", lambda: broker)
        monkeypatch.setattr(outbox, "_away_until", 0.0)
        monkeypatch.setattr(held_keys, "_told", set())
    yield request.param
    forget_broker()


@pytest.fixture
def work() -> Callable[..., int]:
    """Run what is due on the tests' queues, and what that enqueues; answers how many jobs started."""

    def run(**options: object) -> int:
        return sum(len(run_jobs(name, **options)) for name in (tasks.lane.name, tasks.other.name))

    return run
