from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases import postgresql_server

from .harness import PostgresqlSite, Site

#: What `make test` plays on PostgreSQL too; all others it plays on SQLite, and CI and `make faults` on both.
ALWAYS_ON_BOTH = ("reach_the_pace", "released_at_once", "tick_once")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave a second telling of the same to those who have the time."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is None or parameters.params.get("make_site") != "postgresql":
            continue
        if not any(part in item.name for part in ALWAYS_ON_BOTH):
            item.add_marker(pytest.mark.slow)


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


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
