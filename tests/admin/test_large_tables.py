"""No page of the admin, of no model that is registered, does what a million rows would make slow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, Organization, User
from admin_lists import pages as list_pages
from jobs.broker.database.postgresql import broker as postgresql_broker
from leads.models import CrmWebhook

from .pages import Page, every_page, of_each_kind
from .rows import Rows

pytestmark = pytest.mark.django_db

FEW, MANY = 3, 21
_COUNT = re.compile(r"\bCOUNT\s*\(", re.IGNORECASE)
_COUNT_OF_ROWS = re.compile(r"COUNT\(\*\) FROM (?=\()", re.IGNORECASE)

Statements = dict[str, list[str]]


@dataclass(frozen=True)
class Recorded:
    """The statements of each page by its name: with few rows, with many, and of the lists with two rows a page."""

    few: Statements
    many: Statements
    short: Statements


def superuser() -> Any:
    return User.objects.create_superuser("boss@example.org")


def staff() -> Any:
    """A member of three organisations, one of them the one that has the rows; not of the others."""
    user = User.objects.create_user("staff@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    others = [Organization.objects.create(slug=slug, name=slug) for slug in ("another", "third")]
    CrmWebhook.objects.bulk_create(CrmWebhook(organization=one) for one in others)
    for organization in (Organization.objects.get(slug="company-0"), *others):
        Membership.objects.create(user=user, organization=organization)
    return user


#: Who opens the pages, and which of them: `make test` those of each kind, CI all.
SUPERUSER, STAFF = (superuser, iter), (staff, iter)
QUICKLY = (superuser, of_each_kind)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(QUICKLY, id="pages of each kind"),
        pytest.param(SUPERUSER, marks=[pytest.mark.slow, pytest.mark.long], id="superuser"),
        pytest.param(STAFF, marks=[pytest.mark.slow, pytest.mark.long], id="staff"),
    ],
)
def recorded(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[Recorded]:
    """Everything is opened once for all tests of this module."""
    with django_db_blocker.unblock(), transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        yield record(*request.param, patch)
        transaction.set_rollback(True)


def record(
    person: Callable[[], Any], which: Callable[[Iterable[Page]], Iterator[Page]], patch: pytest.MonkeyPatch
) -> Recorded:
    # else the overview asks for the server's clock now and then
    patch.setattr(postgresql_broker, "MEASURE_EVERY", 0.0)
    rows = Rows()
    rows.add(FEW)
    user = person()
    # what jobs and accounts show is the same for everybody who may see it
    without = () if user.is_superuser else ("jobs", "auth", "accounts.user")
    few = opened(user, which(every_page(user, pairs=False, without=without)))
    rows.add(MANY - FEW)
    many = opened(user, which(every_page(user, pairs=False, without=without)))
    for model_admin in admin.site._registry.values():
        patch.setattr(model_admin, "list_per_page", 2)
    # and more of them than are put in order by Python
    patch.setattr(list_pages, "FEW", 1)
    pages = which(every_page(user, pairs=False, without=without))
    return Recorded(few, many, opened(user, (page for page in pages if re.search(r" list| older| oldest", page.name))))


def opened(user: Any, pages: Iterable[Page]) -> Statements:
    client = Client()
    client.force_login(user)
    client.get("/admin/")  # what a process caches is cached by then
    return {page.name: statements(client, page) for page in pages}


def statements(client: Client, page: Page) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        response = client.post(page.path, page.data) if page.data else client.get(page.path)
    assert response.status_code == 200, (page, response)
    return [query["sql"] for query in queries]


def unbounded_counts(sql: str) -> int:
    """How many counts of the statement could walk over a whole table: all but those of a subquery that has a limit.

    `most` is the broker's limit: 10,000 unless Python callers ask for exact numbers, which no page does.
    """
    bounded = sum(
        bool(re.search(r"\bLIMIT (\d+|:most\b|%\(most\)s)", in_brackets(sql[found.end() :])))
        for found in _COUNT_OF_ROWS.finditer(sql)
    )
    return len(_COUNT.findall(sql)) - bounded


def in_brackets(text: str) -> str:
    """The text from its opening bracket to the one that closes it."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return text[:place]
    return text


def test_every_registered_model_has_rows_here() -> None:
    labels = {model._meta.label_lower for model in admin.site._registry}
    # its pages are of dead letters, a fixed number of lines: see test_causes.py
    labels.remove("jobs.cause")
    assert labels == set(Rows.makers), "a model was registered or removed: let tests/admin/rows.py make rows of it"


@pytest.mark.slow
def test_every_list_has_been_opened_to_its_end(recorded: Recorded) -> None:
    lists = {name.partition(" ")[0] for name in recorded.short if name.endswith(" list")} - {"jobs.cause"}
    assert len(lists) >= 11
    assert {name.partition(" ")[0] for name in recorded.short if " older page" in name} == lists


@pytest.mark.parametrize("pages", ["many", "short"])
def test_no_page_counts_a_whole_table(recorded: Recorded, pages: str) -> None:
    for name, found in getattr(recorded, pages).items():
        # of one batch its jobs are counted, by the batch's index, and of one worker those that it holds
        counted = [sql for sql in found if unbounded_counts(sql) and "worker_id = process.id" not in sql]
        assert [sql for sql in counted if not re.search(r"\bbatch_id =", sql)] == [], name


@pytest.mark.parametrize("pages", ["many", "short"])
def test_no_page_reads_rows_to_skip_them(recorded: Recorded, pages: str) -> None:
    for name, found in getattr(recorded, pages).items():
        assert [sql for sql in found if re.search(r"\bOFFSET\b", sql)] == [], name


def test_no_page_asks_once_for_every_row(recorded: Recorded) -> None:
    assert set(recorded.few) <= set(recorded.many)
    for name, found in recorded.few.items():
        more = recorded.many[name][len(found) :]
        assert not more, f"{name}: {len(found)} statements for {FEW} rows, {len(more)} more for {MANY}: {more[:2]}"


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT COUNT(*) FROM t", 1),
        ("SELECT COUNT(*) FROM (SELECT 1 FROM t LIMIT 9) s", 0),
        ("SELECT COUNT(*) FROM (SELECT 1 FROM t) s", 1),
        ("SELECT (SELECT count(*) FROM (SELECT 1 FROM t LIMIT 9)), (SELECT count(*) FROM t)", 1),
        ("SELECT a, COUNT(b) FROM t GROUP BY a LIMIT 9", 1),
        ("SELECT 1 LIMIT 9", 0),
    ],
)
def test_a_count_without_an_end_is_recognised(sql: str, number: int) -> None:
    assert unbounded_counts(sql) == number
