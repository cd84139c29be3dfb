"""Fixtures of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.utils import translation

from jobs.broker import forget_broker
from tests.databases import emptied, postgresql_as_default

pytest_plugins = ["jobs.testing"]

# what is said of wrong settings is compared in English, whatever a developer's .env says
os.environ["LANGUAGE_CODE"] = "en"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only one vendor has with the other."""
    of_postgresql = [item for item in items if item.get_closest_marker("postgresql")]
    _leave_out(config, items, [item for item in of_postgresql if "[sqlite" in item.name])
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        return
    _leave_out(config, items, [item for item in items if item.get_closest_marker("sqlite")])


def _leave_out(config: pytest.Config, items: list[pytest.Item], left_out: list[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def _close_the_broker() -> Iterator[None]:
    """Its own connection must not outlive the test database."""
    yield
    forget_broker()


@pytest.fixture(autouse=True)
def _language_of_its_own() -> Iterator[None]:
    """A request of the test client leaves its language in the thread."""
    yield
    translation.deactivate()


_BOTH = ("postgresql", "sqlite")
_SUITE_ON_SQLITE = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")


@pytest.fixture(params=_BOTH if _SUITE_ON_SQLITE else _BOTH[:1])
def each_database(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """The test runs once on each vendor, with real commits; the value is the vendor."""
    if request.param == "sqlite" or not _SUITE_ON_SQLITE:
        yield request.param
        forget_broker()
        return
    with postgresql_as_default(), emptied():
        yield request.param
