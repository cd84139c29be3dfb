from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Site


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database to copy."""
    site = Site(tmp_path_factory.mktemp("template"))
    done = site.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    site.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return site.database


@pytest.fixture
def make_site(tmp_path: Path, migrated: Path) -> Iterator[Callable[..., Site]]:
    """`make_site(FAULTS_GRACE="1")`: a site whose processes see these variables."""
    made: list[Site] = []

    def make(**variables: str) -> Site:
        made.append(Site(tmp_path, migrated, **variables))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture(autouse=True)
def _hang_up_means_something() -> Iterator[None]:
    """Whatever the tests were started through: what `nohup` ignores, `run_huey` would ignore as well."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
