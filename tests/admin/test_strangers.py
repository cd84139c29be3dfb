"""Nobody gets anything of an organization that they do not belong to: each page, list, filter, search, choice, action.

The pages are those that a superuser may open, with the addresses of one organization's rows in them, and every route
outside the admin; who opens them here is staff of another organization with every permission, an owner or an agent of
another, an agent who is an owner elsewhere, or nobody who has signed in. How many were looked at is said at the end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.encoding import force_bytes
from django.utils.html import escape
from django.utils.http import urlsafe_base64_encode

from accounts.models import Membership, Organization, Role, User
from accounts.services import create_api_key
from leads.models import Lead, LeadImport, Submission
from tests.leads.people import make_organization

from .pages import Page, every_page, of_each_kind
from .rows import Rows

pytestmark = pytest.mark.django_db

#: Belongs to the whole site, and holds nothing of an organization.
OF_THE_SITE = "auth.group"
APPS = ("accounts", "leads", "emails", "notifications", "jobs", "auth")
#: What a page may say of a row that it was asked for by its address.
REFUSED = frozenset({302, 403, 404})


@pytest.fixture
def rows() -> Rows:
    """Rows of every model, of somebody else's organizations; their jobs belong to the first one."""
    made = Rows()
    made.add(3)
    apps.get_model("jobs", "Job").objects.update(scope=str(made.first["accounts.organization"].pk))
    for group in Group.objects.all():
        Group.objects.filter(pk=group.pk).update(name=f"the site's {group.pk}")
    return made


@pytest.fixture(params=["pages of each kind", pytest.param("all pages", marks=[pytest.mark.slow, pytest.mark.long])])
def pages(request: pytest.FixtureRequest, rows: Rows) -> list[Page]:
    """Every page of the admin, with the addresses of those rows; `make test` opens one of each kind."""
    boss = User.objects.create_superuser("boss@example.org")
    found = [page for page in every_page(boss, pairs=False) if not page.name.startswith(OF_THE_SITE)]
    return found if request.param == "all pages" else list(of_each_kind(found))


def staff_of_another() -> Client:
    user = User.objects.create_user("staff-of-another@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename="view_every_scope"))
    return _member(user)


def owner_of_another() -> Client:
    return _member(User.objects.create_user("owner-of-another@example.org"), Role.OWNER)


def agent_of_another() -> Client:
    return _member(User.objects.create_user("agent-of-another@example.org"), Role.AGENT)


#: Who walks through the pages; each with the number of pages that answer at least.
STRANGERS = {
    "staff of another": (staff_of_another, 100),
    "owner of another": (owner_of_another, 60),
    "agent of another": (agent_of_another, 30),
}


def _member(user: User, role: Role = Role.MANAGER) -> Client:
    organization = make_organization("another-one")
    Membership.objects.create(user=user, organization=organization, role=role)
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


def opened(
    client: Client, pages: Iterable[Page], walked: Counter[str] | None = None, who: str = ""
) -> Iterator[tuple[Page, Any]]:
    for page in pages:
        client.cookies.pop("messages", None)
        if walked is not None:
            walked[who] += 1
        yield page, client.post(page.path, page.data) if page.data else client.get(page.path)


def rows_of_all() -> dict[str, list[Any]]:
    """All that these apps have stored, to see that nothing has changed."""
    models = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    return {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in models}


def test_the_superuser_finds_it_on_these_pages(pages: list[Page], rows: Rows) -> None:
    client = Client()
    client.force_login(User.objects.get(email="boss@example.org"))
    theirs = what_is_theirs(rows)
    # of the whole site, or of failures: they name no row
    others = {"jobs.cause list", "jobs.schedule list"}
    lists = [page for page in pages if page.name.endswith(" list") and page.name not in others]
    assert len(lists) > 10
    for page, answer in opened(client, lists):
        assert theirs.search(said(page, answer.content.decode())), page.name


@pytest.mark.parametrize("who", STRANGERS)
def test_who_belongs_to_another_organization_finds_nothing(
    who: str, pages: list[Page], rows: Rows, walked: Counter[str]
) -> None:
    theirs = what_is_theirs(rows)
    make_client, answered = STRANGERS[who]
    client = make_client()
    before = rows_of_all()
    seen = 0
    for page, answer in opened(client, pages, walked, who):
        assert answer.status_code == 200 or answer.status_code in REFUSED, (page.name, answer.status_code)
        seen += answer.status_code == 200
        text = said(page, answer.content.decode())
        found = theirs.search(text)
        assert not found, (page.name, text[found.start() - 80 : found.end() + 80])
    assert seen > answered, seen
    after = rows_of_all()
    assert {label for label in before if before[label] != after[label]} <= {"accounts.User"}  # the sign-in's time


@pytest.mark.parametrize("who", STRANGERS)
def test_who_belongs_to_another_organization_changes_nothing(who: str, pages: list[Page], rows: Rows) -> None:
    client = STRANGERS[who][0]()
    before = rows_of_all()
    for page in pages:
        if re.search(r": (newest|oldest)$", page.name) and " list " not in page.name:
            client.cookies.pop("messages", None)
            answer = client.post(page.path, {"post": "yes", "name": "taken", "status": "won", "text": "taken"})
            assert answer.status_code in {*REFUSED, 405}, (page.name, answer.status_code)
    after = rows_of_all()
    changed = {label for label in before if before[label] != after[label]}
    assert not changed


@pytest.mark.parametrize("who", ["a user without an organization", "nobody"])
def test_who_belongs_nowhere_gets_no_page_of_the_admin(
    who: str, pages: list[Page], rows: Rows, walked: Counter[str]
) -> None:
    client = Client()
    if who != "nobody":
        client.force_login(User.objects.create_user("alone@example.org"))
    for page, answer in opened(client, pages, walked, who):
        assert answer.status_code == 302, (page.name, answer.status_code)
        assert "/login/" in answer["Location"], page.name
    assert client.get(reverse("admin:login")).status_code == (302 if who == "nobody" else 403)


def every_action() -> list[Page]:
    """Every action of every list, on two rows each; as it is once a page that asks has been answered."""
    request = RequestFactory().get("/")
    request.user = User.objects.get(email="boss@example.org")
    found = []
    for model, model_admin in admin.site._registry.items():
        if model._meta.label_lower == OF_THE_SITE:
            continue
        chosen = [str(pk) for pk in model._base_manager.order_by("-pk").values_list("pk", flat=True)[:2]]
        if not chosen:
            continue
        answered = {"post": "yes", "confirmed": "1", "upto": max(chosen), admin.helpers.ACTION_CHECKBOX_NAME: chosen}
        for action in model_admin.get_actions(request):
            for across in ("0", "1"):
                data = {"action": action, "select_across": across, **answered}
                address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
                found.append(Page(f"{model._meta.label_lower} {action}: {across}", address, data))
    assert len(found) > 30
    return found


@pytest.mark.parametrize("who", STRANGERS)
def test_no_action_of_a_list_reaches_what_others_have(
    who: str, pages: list[Page], rows: Rows, walked: Counter[str]
) -> None:
    actions, theirs = every_action(), what_is_theirs(rows)
    client, before = STRANGERS[who][0](), rows_of_all()
    for page, answer in opened(client, actions, walked, who):
        assert answer.status_code in {200, *REFUSED}, (page.name, answer.status_code)
        assert not theirs.search(re.sub("|".join(page.data["_selected_action"]), "", answer.content.decode())), (
            page.name
        )
    after = rows_of_all()
    assert not {label for label in before if before[label] != after[label]}


def agent_here(rows: Rows, name: str) -> User:
    user = User.objects.create_user(f"{name}@example.org")
    Membership.objects.create(user=user, organization=rows.first["accounts.organization"], role=Role.AGENT)
    return user


def test_who_is_an_owner_elsewhere_is_an_agent_here(pages: list[Page], rows: Rows, walked: Counter[str]) -> None:
    agent, mixed = Client(), Client()
    agent.force_login(agent_here(rows, "agent"))
    both = agent_here(rows, "mixed")
    elsewhere = make_organization("another-one")
    Membership.objects.create(user=both, organization=elsewhere, role=Role.OWNER)
    mixed.force_login(both)
    theirs = what_is_theirs(rows)
    own = {str(both.pk), str(elsewhere.pk), *(str(one.pk) for one in both.memberships.all())}
    told: dict[str, dict[str, set[str]]] = {"agent": {}, "mixed": {}}
    for name, client in (("agent", agent), ("mixed", mixed)):
        counter = walked if name == "mixed" else None
        for page, answer in opened(client, pages, counter, "an agent who is an owner elsewhere"):
            if found := set(theirs.findall(said(page, answer.content.decode()))) - own:
                told[name][page.name] = found
    assert len(told["mixed"]) > 20
    # on no other pages, and nothing that the agent does not find on one of them
    assert set(told["mixed"]) <= set(told["agent"])
    assert set().union(*told["mixed"].values()) <= set().union(*told["agent"].values())
    changes = {name: _changed_by(client, pages, rows) for name, client in (("agent", agent), ("mixed", mixed))}
    assert changes["mixed"] == changes["agent"]
    assert "leads.Lead" in changes["agent"]


def _changed_by(client: Client, pages: list[Page], rows: Rows) -> dict[str, set[Any]]:
    """The keys of the rows that were there and are changed or gone once the person has posted to all pages; undone."""
    before = rows_of_all()
    # a list says the same to a POST without an action as to a GET
    changing = [
        page
        for page in pages
        if page.data or not re.search(r" (list|search|choices)\b| (older|oldest) page", page.name)
    ]
    with transaction.atomic():
        for page in [*changing, *every_action()]:
            client.cookies.pop("messages", None)
            data = page.data if page.data.get("post") else {"post": "yes", "name": "taken", "status": "won"}
            client.post(page.path, data)
        after = {label: {row.get("id", row.get("key")): row for row in found} for label, found in rows_of_all().items()}
        transaction.set_rollback(True)
    changed = {
        label: {key for row in found if after[label].get(key := row.get("id", row.get("key"))) != row}
        for label, found in before.items()
        if label not in {"accounts.User", "accounts.Limit"}
    }
    return {label: keys for label, keys in changed.items() if keys}


def every_route(rows: Rows) -> dict[str, str]:
    """The address of each page outside the admin, with the keys of their rows in it."""
    organization = rows.first["accounts.organization"]
    lead_import = LeadImport.objects.create(organization=organization, file_name="row01.csv", header=["row01"])
    values = {
        "slug": organization.slug,
        "import_id": lead_import.pk,
        "lead_id": rows.first["leads.lead"].pk,
        "campaign_id": rows.first["emails.campaign"].pk,
        "message_id": rows.first["emails.emailmessage"].pk,
        "notification_id": rows.first["notifications.notification"].pk,
        "token": str(rows.first["leads.lead"].pk),
        "uidb64": urlsafe_base64_encode(force_bytes(rows.first["accounts.user"].pk)),
        "provider": "resend",
        "name": "status",
    }

    def walk(patterns: Iterable[Any], space: str = "") -> Iterator[tuple[str, str]]:
        for one in patterns:
            if isinstance(one, URLResolver) and one.namespace != "admin":
                yield from walk(one.url_patterns, f"{one.namespace}:" if one.namespace else "")
            elif isinstance(one, URLPattern):
                name = f"{space}{one.name}"
                yield name, reverse(name, kwargs={key: values[key] for key in one.pattern.converters})

    return dict(walk(get_resolver().url_patterns))


#: What a route may write for anybody: the form is there to be filled in, guesses are counted, and wishes are one's own.
WRITTEN = {
    "leads:form": {"leads.Submission", "jobs.Job", "accounts.Limit"},
    "login": {"accounts.Limit"},
    "notifications:preferences": {"notifications.ContactPreference", "accounts.User"},
}


METHODS = ("get", "post", "put", "patch", "delete")


@pytest.mark.parametrize("who", [*STRANGERS, "nobody"])
def test_no_route_outside_the_admin_tells_or_takes_anything(who: str, rows: Rows, walked: Counter[str]) -> None:
    routes = every_route(rows)
    assert len(routes) > 18
    key = str(rows.first["leads.lead"].pk)
    form = {"username": "row01@example.org", "password": "guess", "text": "taken", "status": "won", "next": "/"}
    theirs = what_is_theirs(rows)
    client = Client() if who == "nobody" else STRANGERS[who][0]()
    session, before = client.cookies.copy(), rows_of_all()
    for (name, path), method in product(routes.items(), METHODS):
        client.cookies = session.copy()
        walked[who] += 1
        answer = getattr(client, method)(path, form if method == "post" else {"q": key})
        assert answer.status_code < 500, (name, answer.status_code)
        # a form says whose it is, and what was typed
        told = set(theirs.findall(said(Page(name, path), answer.content.decode())))
        assert told <= ({"row01"} if name in {"leads:form", "leads:thanks", "login"} else set()), (name, told)
        after = rows_of_all()
        changed = {label for label in before if before[label] != after[label]}
        assert changed <= WRITTEN.get(name, set()) if method == "post" else not changed, (name, changed)
        before = after


def test_nobody_repeats_a_request_of_another_key(rows: Rows) -> None:
    _key, secret = create_api_key(make_organization("another-one"), "site")
    Submission.objects.update(state="processed", answer={"lead": "row01"}, answer_status=202)
    answer = Client().post(
        reverse("leads:api"),
        {"name": "Eve", "email": "eve@mail.example"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": "row01"},
    )
    assert "row01" not in answer.content.decode()


def test_a_key_ends_with_its_organization() -> None:
    other = make_organization("another-one")
    _key, secret = create_api_key(other, "site")
    Organization.objects.filter(pk=other.pk).delete()
    headers = {"Authorization": f"Bearer {secret}"}
    answer = Client().post(reverse("leads:api"), {"name": "Eve"}, content_type="application/json", headers=headers)
    assert answer.status_code == 401


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
