"""The jobs are in Redis, and the database is away for an hour, in the small: work goes on, and later it is told."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tests.databases import postgresql_server
from tests.servers import RedisServer

from .harness import PostgresqlSite, Site, wait_for
from .proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["postgresql"], indirect=True)]
#: A quarter of it is the bound: only one queue is used.
MAXMEMORY = 10 * 1024 * 1024
BOUND = MAXMEMORY // 4


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer.create(maxmemory=str(MAXMEMORY))
    server.start()
    yield server
    server.remove()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy(postgresql_server().port)
    yield proxy
    proxy.close()


@pytest.fixture
def site(make_site: Callable[..., Site], server: RedisServer) -> PostgresqlSite:
    site = make_site(FAULTS_REDIS=server.url())
    assert isinstance(site, PostgresqlSite)
    return site


@pytest.fixture
def through(proxy: Proxy, site: PostgresqlSite) -> dict[str, str]:
    """The variables of a process that reaches its database by the proxy."""
    return {"FAULTS_DATABASE": site.url.replace(f":{postgresql_server().port}/", f":{proxy.port}/")}


def status(site: Site) -> Any:
    done = site.manage("jobs", "status", "--json")
    return json.loads(done.stdout)


def ended(site: Site) -> set[str]:
    return {line.job for line in site.ledger("end")}


def seconds_for(site: Site, console: Any, number: int) -> float:
    """How long it takes to enqueue so many jobs and to work them."""
    before, began = len(ended(site)), time.monotonic()
    for _ in range(number // 1_000):
        console.ask("nap.enqueue_many([0] * 1000)")
    wait_for(lambda: len(ended(site)) >= before + number, what=f"{number} jobs in {site.folder}")
    return time.monotonic() - began


def bytes_that_wait(client: redis.Redis) -> int:
    return sum(client.memory_usage(f"{{faults:work}}:{name}", samples=0) or 0 for name in ("facts", "kept"))


def test_work_goes_on_while_the_database_is_away_and_is_told_when_it_is_back(
    site: PostgresqlSite, server: RedisServer, proxy: Proxy, through: dict[str, str]
) -> None:
    huey = site.run_huey("--queue", "work", **through)
    console = site.console(**through)
    # these have rows, and end while nobody can write that
    with_rows = set(console.ask("nap.using(delay=8).enqueue_many([0] * 50)"))
    wait_for(lambda: with_rows <= site.job_ids(), what="rows")
    usual = seconds_for(site, console, 2_000)
    wait_for(lambda: status(site)["history_facts_waiting"] == 0)

    proxy.leave()
    for _ in range(3):  # a busy machine makes it slow
        away = seconds_for(site, console, 2_000)
        if away < 3 * usual + 2:
            break
    assert away < 3 * usual + 2
    os.kill(huey.started("work/1")[-1], signal.SIGKILL)
    seconds_for(site, console, 8_000)
    # another one may start meanwhile
    huey.end()
    huey = site.run_huey("--queue", "work", **through)
    assert "database_away" in huey.log_path.read_text()
    seconds_for(site, console, 8_000)
    wait_for(lambda: with_rows <= ended(site))
    with redis.Redis.from_url(server.url()) as client:
        # beside them stand those that were told in the last minute before
        assert bytes_that_wait(client) < 1.5 * BOUND
    told = site.manage("jobs", "status", **through)
    assert (told.returncode, "the jobs' database did not answer" in told.stderr) == (1, True)
    assert "Traceback" not in told.stderr
    seen = status(site)
    assert seen["needs_person"]
    assert seen["history_facts_waiting"] > 1_000
    assert "history_incomplete" in {finding["code"] for finding in seen["findings"]}
    assert "duty_failed duty=merge" in huey.log_path.read_text()

    proxy.come_back()
    wait_for(lambda: status(site)["history_facts_waiting"] == 0, what=huey.log_path)
    assert huey.process.poll() is None
    check(site, with_rows)


def check(site: PostgresqlSite, with_rows: set[str]) -> None:
    """The history, of which only details are missing, against the ledger."""
    runs = Counter(line.job for line in site.ledger())
    lost = dict(site.rows("SELECT job_id, count(*) FROM jobs_attempt WHERE outcome = 'lost' GROUP BY job_id"))
    assert ended(site) == site.accepted
    assert {id: runs[id] - 1 for id in runs if runs[id] > 1}.items() <= lost.items()
    counted = dict(site.rows("SELECT outcome, sum(jobs) FROM jobs_taskstat WHERE queue = 'work' GROUP BY outcome"))
    found = tuple(int(counted.get(outcome, 0)) for outcome in ("completed", "failed", "lost"))
    assert found == (len(site.accepted), 0, sum(lost.values()))
    assert site.states("work").keys() == {"completed"}
    assert with_rows <= site.job_ids()
    assert len(site.job_ids()) < len(site.accepted)
    site.is_checked = True
