from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import postgresql_server

from .harness import PostgresqlSite, Site

_passed = pytest.StashKey[bool]()
#: What `make test` plays on PostgreSQL too; all others it plays on SQLite, and CI and `make faults` on both.
ALWAYS_ON_BOTH = ("released_at_once", "tick_once")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave a second telling of the same to those who have the time."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is None or parameters.params.get("make_site") != "postgresql":
            continue
        if not any(part in item.name for part in ALWAYS_ON_BOTH):
            item.add_marker(pytest.mark.slow)


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


@pytest.fixture
def make_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`make_site(FAULTS_LEASE="1")`: a site whose processes see these variables; its parameter is the vendor."""
    made: list[Site] = []
    on_postgresql = getattr(request, "param", "sqlite") == "postgresql"
    template = request.getfixturevalue("migrated_on_postgresql" if on_postgresql else "migrated")

    def make(**variables: str) -> Site:
        if on_postgresql:
            url = postgresql_server().create_database(f"faults_{tmp_path.name}", template)
            site: Site = PostgresqlSite(tmp_path, url, **variables)
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
