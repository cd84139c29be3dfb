"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import translation

from jobs.broker import forget_broker

pytest_plugins = ["jobs.testing"]


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
