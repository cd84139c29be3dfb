"""Nobody gets anything of an organization that they do not belong to: each page, list, filter, search, choice, action.

The pages are those that a superuser may open, with the addresses of one organization's rows in them; who opens them
here is staff of another organization with every permission, a plain member of another, or nobody who has signed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from leads.models import Lead, Membership
from leads.services import create_api_key
from notifications.models import Notification
from tests.leads.people import make_organization

from .pages import Page, every_page
from .rows import Rows

pytestmark = pytest.mark.django_db

#: Belongs to the whole site, and holds nothing of an organization.
OF_THE_SITE = "auth.group"
APPS = ("leads", "emails", "notifications", "jobs", "auth")
#: What a page may say of a row that it was asked for by its address.
REFUSED = frozenset({302, 403, 404})


@pytest.fixture
def rows() -> Rows:
    """Rows of every model, of somebody else's organizations; their jobs belong to the first one."""
    made = Rows()
    made.add(3)
    apps.get_model("jobs", "Job").objects.update(scope=str(made.first["leads.organization"].pk))
    for group in Group.objects.all():
        Group.objects.filter(pk=group.pk).update(name=f"the site's {group.pk}")
    return made


@pytest.fixture
def pages(rows: Rows) -> list[Page]:
    """Every page of the admin, with the addresses of those rows."""
    boss = User.objects.create_superuser("boss")
    return [page for page in every_page(boss, pairs=False) if not page.name.startswith(OF_THE_SITE)]


def staff_of_another() -> Client:
    user = User.objects.create_user("staff of another", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename="view_every_scope"))
    return _member(user)


def member_of_another() -> Client:
    return _member(User.objects.create_user("member of another"))


def _member(user: User) -> Client:
    organization = make_organization("another-one")
    Membership.objects.create(user=user, organization=organization, role="manager")
    client = Client()
    client.force_login(user)
    return client


def what_is_theirs(rows: Rows) -> re.Pattern[str]:
    """What only their rows hold: keys, addresses, names."""
    keys = [
        str(row.pk)
        for label in rows.makers
        if label != OF_THE_SITE
        for row in apps.get_model(label).objects.all()
        if len(str(row.pk)) > 30
    ]
    return re.compile("|".join([r"row0\d", *keys]))


def said(page: Page, text: str) -> str:
    """The page without what the reader has asked for: that is repeated."""
    asked = {value for _name, value in parse_qsl(urlsplit(page.path).query)}
    parts = set(urlsplit(page.path).path.split("/"))
    for value in asked:
        quoted = quote_plus(value)
        parts |= {value, escape(value), quoted, quote_plus(quoted), value.partition(":")[2]}
    for part in sorted(parts - {""}, key=len, reverse=True):
        text = text.replace(part, "")
    return text


def opened(client: Client, pages: Iterable[Page]) -> Iterator[tuple[Page, Any]]:
    for page in pages:
        client.cookies.pop("messages", None)
        yield page, client.post(page.path, page.data) if page.data else client.get(page.path)


def rows_of_all() -> dict[str, list[Any]]:
    """All that these apps have stored, to see that nothing has changed."""
    models = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    return {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in models}


def test_the_superuser_finds_it_on_these_pages(pages: list[Page], rows: Rows) -> None:
    client = Client()
    client.force_login(User.objects.get(username="boss"))
    theirs = what_is_theirs(rows)
    lists = [page for page in pages if page.name.endswith(" list")]
    assert len(lists) > 10
    for page, answer in opened(client, lists):
        assert theirs.search(said(page, answer.content.decode())), page.name


def test_staff_of_another_organization_finds_nothing(pages: list[Page], rows: Rows) -> None:
    theirs = what_is_theirs(rows)
    client = staff_of_another()
    before = rows_of_all()
    seen = 0
    for page, answer in opened(client, pages):
        assert answer.status_code == 200 or answer.status_code in REFUSED, (page.name, answer.status_code)
        seen += answer.status_code == 200
        text = said(page, answer.content.decode())
        found = theirs.search(text)
        assert not found, (page.name, text[found.start() - 80 : found.end() + 80])
    assert seen > 100
    after = rows_of_all()
    assert {label for label in before if before[label] != after[label]} <= {"auth.User"}  # the sign-in's time


def test_staff_of_another_organization_changes_nothing(pages: list[Page], rows: Rows) -> None:
    client = staff_of_another()
    before = rows_of_all()
    for page in pages:
        if re.search(r": (newest|oldest)$", page.name) and " list " not in page.name:
            client.cookies.pop("messages", None)
            answer = client.post(page.path, {"post": "yes", "name": "taken", "status": "won", "text": "taken"})
            assert answer.status_code in {*REFUSED, 405}, (page.name, answer.status_code)
    after = rows_of_all()
    changed = {label for label in before if before[label] != after[label]}
    assert not changed


@pytest.mark.parametrize("who", ["member of another", "nobody"])
def test_who_is_no_staff_gets_no_page_of_the_admin(who: str, pages: list[Page], rows: Rows) -> None:
    client = member_of_another() if who == "member of another" else Client()
    for page, answer in opened(client, pages):
        assert answer.status_code == 302, (page.name, answer.status_code)
        assert "/login/" in answer["Location"], page.name


@pytest.mark.parametrize("who", ["staff of another", "member of another", "nobody"])
def test_the_members_own_pages_show_nothing_either(who: str, rows: Rows) -> None:
    theirs = what_is_theirs(rows)
    client = {"staff of another": staff_of_another, "member of another": member_of_another, "nobody": Client}[who]()
    before = rows_of_all()
    lead, news = Lead.objects.first(), Notification.objects.first()
    assert lead is not None
    assert news is not None
    inbox = client.get(reverse("notifications:inbox"))
    assert not theirs.search(inbox.content.decode())
    assert inbox.status_code == (302 if who == "nobody" else 200)
    for answer in (
        client.get(reverse("leads:lead", args=[lead.pk])),
        client.post(reverse("leads:lead", args=[lead.pk]), {"text": "taken"}),
        client.post(reverse("notifications:read", args=[news.pk])),
    ):
        assert answer.status_code in REFUSED | {405}
        assert not theirs.search(answer.content.decode().replace(str(lead.pk), "").replace(str(news.pk), ""))
    client.post(reverse("notifications:read_all"))
    after = rows_of_all()
    assert [label for label in before if before[label] != after[label] and label != "auth.User"] == []


def test_a_key_reaches_its_own_organization_only(rows: Rows) -> None:
    other = make_organization("another-one")
    _key, secret = create_api_key(other, "site")
    theirs = Lead.objects.order_by("pk").first()
    assert theirs is not None
    before = list(Lead.objects.exclude(organization=other).order_by("pk").values())
    body = {"name": "Eve", "email": theirs.email, "organization": str(theirs.organization_id)}
    for given in (body, {**body, "organization_id": str(theirs.organization_id), "id": str(theirs.pk)}):
        answer = Client().post(
            reverse("leads:api"), given, content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
        )
        assert str(theirs.pk) not in answer.content.decode()
    assert list(Lead.objects.exclude(organization=other).order_by("pk").values()) == before
