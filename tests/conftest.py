"""Fixtures of all tests."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.test import TransactionTestCase
from django.utils import translation

import jobs.broker
from jobs.broker import forget_broker
from jobs.keep import prune, recover, relay
from tests.databases import emptied, empty, postgresql_as_default

pytest_plugins = ["jobs.testing"]

# what is said of wrong settings is compared in English, whatever a developer's .env says
os.environ["LANGUAGE_CODE"] = "en"


# a busy machine is no failure
hypothesis.settings.register_profile(
    "busy", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

_MAKE_BROKER = jobs.broker._make_broker
_SUITE_ON_SQLITE = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto`: two processes more than there are cores, as much of the suite waits; a few tests need only this one.

    Those are what `-k` or the path of a file asks for; and with `-s` people want to see what the tests print.
    """
    named = all(Path(part.partition("::")[0]).suffix == ".py" for part in config.args)
    if config.option.capture == "no" or config.option.keyword or named:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 2, 8)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how far the walk of the strangers went, in whatever processes: see tests/admin/test_strangers.py."""
    walked: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                walked.update(dict(report.user_properties).get("walked", {}))
    if walked:
        readers = ", ".join(f"{who} {number}" for who, number in sorted(walked.items()))
        terminalreporter.write_line(f"walked as a stranger: {walked.total()} pages ({readers})")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only one vendor has with the other, and a second telling of what is alike to those with time."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        if item.get_closest_marker("alike") and parameters is not None and _is_told_again(parameters):
            # where the suite runs on PostgreSQL all of it is told there
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.long)
    of_rows = [item for item in items if item.get_closest_marker("rows")]
    _leave_out(config, items, [item for item in of_rows if "[redis" in item.name])
    of_postgresql = [item for item in items if item.get_closest_marker("postgresql")]
    _leave_out(config, items, [item for item in of_postgresql if "[sqlite" in item.name or "[redis" in item.name])
    if _SUITE_ON_SQLITE:
        return
    _leave_out(config, items, [item for item in items if item.get_closest_marker("sqlite")])


def _is_told_again(parameters: Any) -> bool:
    """Whether SQLite tells the same beside it, and the first of the other parameters tells what PostgreSQL adds."""
    others = [index for name, index in parameters.indices.items() if name != "each_database"]
    return _SUITE_ON_SQLITE and parameters.params.get("each_database") == "postgresql" and any(others)


def _leave_out(config: pytest.Config, items: list[pytest.Item], left_out: list[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=left_out)
    gone = set(left_out)
    items[:] = [item for item in items if item not in gone]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """A broker that a test puts in place of the settings' must not outlive the test."""
    result = yield
    left, jobs.broker._make_broker = jobs.broker._make_broker, _MAKE_BROKER
    assert left is _MAKE_BROKER, "this test leaves its broker to the next ones"
    return result


@pytest.fixture(scope="session", autouse=True)
def _close_the_broker() -> Iterator[None]:
    """Its own connection must not outlive the test database."""
    yield
    forget_broker()


@pytest.fixture(scope="session", autouse=True)
def _tests_with_real_commits_are_cleared_quickly() -> Iterator[None]:
    """pytest-django leaves that to Django's own test case, which flushes."""

    def clear(test: Any) -> None:
        for alias in test._databases_names(include_mirrors=False):
            empty(alias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", clear)
        yield


@pytest.fixture(scope="session", autouse=True)
def _duties_have_time() -> Iterator[None]:
    """One run of a duty ends after a second, in which a busy machine may not do what a test expects of one run."""
    with pytest.MonkeyPatch.context() as patch:
        for duty in (prune, recover, relay):
            patch.setattr(duty, "LONGEST", 60.0)
        yield


@pytest.fixture(autouse=True)
def _language_of_its_own() -> Iterator[None]:
    """A request of the test client leaves its language in the thread."""
    yield
    translation.deactivate()


@pytest.fixture
def no_roles(settings: Any) -> None:
    """A member's role allows nothing: each permission that a test is about is given to the person."""
    settings.ROLES = "tests.leads.people.NO_ROLES"


_BOTH = ("postgresql", "sqlite")


@pytest.fixture(params=_BOTH if _SUITE_ON_SQLITE else _BOTH[:1])
def each_database(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """The test runs once on each vendor, with real commits; the value is the vendor."""
    if request.param == "sqlite" or not _SUITE_ON_SQLITE:
        yield request.param
        forget_broker()
        return
    with postgresql_as_default(), emptied():
        yield request.param
