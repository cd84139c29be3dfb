"""A live site, one browser for all tests, and visitors who are signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from playwright.sync_api import Browser

from accounts.models import Organization, Role, User
from tests.leads.people import make_member, make_organization

from .visitor import Visitor, started_browser

HERE = Path(__file__).parent

#: `visit(user)`: a window in which this person is signed in; without one a stranger's.
Visit = Callable[..., Visitor]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts a browser is slow."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a process."""
    with pytest.MonkeyPatch.context() as patch:
        # Playwright keeps a loop in this thread, in which nothing of Django runs
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with started_browser() as browser:
            yield browser


@pytest.fixture
def visit(browser: Browser, live_server: Any, settings: Any) -> Iterator[Visit]:
    """Opens windows; at the end of the test no page may have done what none may do."""
    settings.SITE_URL = live_server.url
    visitors: list[Visitor] = []

    def open_window(user: User | None = None, **options: Any) -> Visitor:
        visitor = Visitor(browser, live_server.url, **options)
        visitors.append(visitor)
        if user is not None:
            client = Client()
            client.force_login(user)
            visitor.sign_in(client.cookies["sessionid"].value)
        return visitor

    yield open_window
    for visitor in visitors:
        visitor.close()
    faults = [fault for visitor in visitors for fault in visitor.faults]
    assert not faults, "\n".join(faults)


@pytest.fixture
def superuser(transactional_db: None) -> User:
    """Who may do everything."""
    return User.objects.create_superuser("boss@example.org", "secret")


@pytest.fixture
def operator(transactional_db: None) -> User:
    """Staff who looks after the jobs of all organizations, and after nothing else."""
    user = User.objects.create_user("operator@example.org", "secret", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="jobs"))
    return user


@pytest.fixture
def acme(transactional_db: None) -> Organization:
    """The organization of `owner` and `agent`."""
    return make_organization("acme")


@pytest.fixture
def owner(acme: Organization) -> Any:
    """Who owns the organization; no staff."""
    return make_member(acme, "olivia", Role.OWNER)


@pytest.fixture
def agent(acme: Organization) -> Any:
    """Who sells for the organization; no staff."""
    return make_member(acme, "arthur", Role.AGENT)
