from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import postgresql_server
from tests.servers import RedisServer

from .harness import PostgresqlSite, RedisSite, Site

_passed = pytest.StashKey[bool]()
#: What `make test` plays on PostgreSQL and Redis too; all others it plays on SQLite, CI and `make faults` on each.
ALWAYS = ("released_at_once", "tick_once")
#: What a broker has little part in, or another test of Redis tells as well: played on Redis by `make faults` alone.
LONG_ON_REDIS = (
    *("growing_pauses", "holds_the_interpreter", "frozen_for_two_leases", "stopped_worker_is_killed"),
    *("never_outlive_the_grace_time", "second_ctrl_c", "sigterm_to_a_worker", "idle_run_huey", "a_far_one_that_came"),
    *("hands_a_new_task_back", "20-kills", "stopped_keeper", "release.", "every_point_is_reached"),
    *("6-kills", "poison_job", "killed_supervisor_finish", "request_to_cancel", "cut_again_and_again"),
)
#: What happens in a worker process, whatever the broker: played on PostgreSQL and Redis by `make faults` alone.
IN_THE_WORKER = (
    *("test_async.py", "test_deaf.py", "test_isolated.py", "test_iterating.py", "test_limits.py"),
    "test_stacks.py",
)
#: What takes a minute and more on each.
LONG_ELSEWHERE = ("caller_killed_while_it_enqueues", "stopped_keeper")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave a second telling of the same to those who have the time."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is None or parameters.params.get("make_site") not in ("postgresql", "redis"):
            continue
        if not any(part in item.name for part in ALWAYS):
            item.add_marker(pytest.mark.slow)
        if item.path.name in IN_THE_WORKER or any(part in item.name for part in LONG_ELSEWHERE):
            item.add_marker(pytest.mark.long)
        if parameters.params["make_site"] == "redis" and any(part in item.name for part in LONG_ON_REDIS):
            item.add_marker(pytest.mark.long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Let the fixtures know how the test ended."""
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


@pytest.fixture(autouse=True)
def chance(request: pytest.FixtureRequest) -> random.Random:
    """What a test leaves to chance: which victim, which point, which moment. FAULTS_SEED repeats it."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"{request.node.name}: FAULTS_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(autouse=True)
def _limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test goes on for ever, whatever it waits for."""
    limit = 1_800 if request.node.get_closest_marker("long") else 300

    def over(number: int, frame: object) -> None:
        raise TimeoutError(f"this test took more than {limit} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(limit)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database to copy."""
    site = Site(tmp_path_factory.mktemp("template"))
    done = site.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    site.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return site.database


@pytest.fixture(scope="session")
def migrated_on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated, empty database to copy."""
    name = "faults_template"
    site = PostgresqlSite(tmp_path_factory.mktemp("template"), postgresql_server().create_database(name))
    done = site.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return name


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One that no test stops; each site has a namespace of its own."""
    server = RedisServer.create()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def make_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`make_site(FAULTS_LEASE="1")`: a site whose processes see these variables; its parameter is the vendor.

    "redis": the jobs on Redis, on the server of the fixture `redis_server`, and the history in SQLite.
    """
    made: list[Site] = []
    vendor = getattr(request, "param", "sqlite")
    template = request.getfixturevalue("migrated_on_postgresql" if vendor == "postgresql" else "migrated")
    server = request.getfixturevalue("redis_server") if vendor == "redis" else None

    def make(**variables: str) -> Site:
        if vendor == "postgresql":
            url = postgresql_server().create_database(f"faults_{tmp_path.name}", template)
            site: Site = PostgresqlSite(tmp_path, url, **variables)
        elif vendor == "redis":
            site = RedisSite(tmp_path, template, server, **variables)
        else:
            site = Site(tmp_path, template, **variables)
        made.append(site)
        return site

    yield make
    for site in made:
        site.close()


@pytest.fixture(autouse=True)
def _ends_with_the_ledger(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whoever makes jobs, on whatever site, holds the ledger against the history when all is over."""
    Site.forgotten.clear()
    yield
    if request.node.stash.get(_passed, False):
        assert Site.forgotten == [], "this test made jobs and does not end with check_ledger"


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
