"""Threads that wait for results while PostgreSQL restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from jobs import Queue, clock
from jobs.errors import ResultTimeout
from jobs.models import Job
from tests.databases import default_is, migrated_settings
from tests.servers import PostgresqlServer, need_postgresql

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
lane = Queue("restart_lane")


@lane.task(name="restart.echo")
def echo(text: str) -> str:
    return text


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    """One that no other test waits for."""
    made = PostgresqlServer.create(need_postgresql())
    made.start()
    with default_is(migrated_settings(made, "results")):
        yield made
    made.stop()
    made.remove()


def test_who_waits_for_a_result_outlives_a_restart_of_the_server(server: PostgresqlServer) -> None:
    handles = echo.enqueue_many([(str(number),) for number in range(20)])
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(handle.result, 60) for handle in handles]
        time.sleep(0.5)  # they have looked
        server.restart()
        connection.close()
        Job.objects.update(state="completed", result='"x"', ended_at=clock.now())
        assert [future.result(20) for future in futures] == ["x"] * 20


def test_a_server_that_stays_away_ends_in_a_timeout_that_says_so(server: PostgresqlServer) -> None:
    handle = echo.enqueue("x")
    connection.close()
    server.stop()
    began = time.monotonic()
    with pytest.raises(ResultTimeout, match="the job database did not answer within 1 s .*OperationalError"):
        handle.result(timeout=1)
    assert time.monotonic() - began < 10
    server.start()
