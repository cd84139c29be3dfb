"""Every page of the admin and of the members, in a browser: nothing breaks on it, and anybody can use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.urls import reverse

from accounts.models import Organization, User
from leads.models import Lead
from notifications.models import Notification
from tests.admin.pages import Page, every_page, of_each_kind
from tests.admin.rows import Rows
from tests.leads.people import make_lead

from .conftest import Visit

#: The registry's models are walked in these parts, so that several cores can share them.
PARTS = (("jobs",), ("leads",), ("accounts", "auth"), ("emails", "notifications"))
#: What is alike for all models of an app: one of them stands for the others.
STOCK = ("history", "delete")


@pytest.mark.parametrize("part", PARTS, ids="-".join)
def test_pages_of_the_admin(visit: Visit, superuser: User, part: tuple[str, ...]) -> None:
    Rows().add(3)
    others = tuple(config.label for config in apps.get_app_configs() if config.label not in part)
    visitor = visit(superuser)
    wrong: dict[str, list[str]] = {}
    for page in _worth_looking_at(every_page(superuser, pairs=False, without=others), others):
        visitor.open(page.path)
        if found := visitor.look():
            wrong[page.name] = found
    assert not wrong, _told(wrong)


def test_pages_of_members(visit: Visit, owner: Any, acme: Organization) -> None:
    lead = make_lead(acme, assignee=owner, score=80, phone="+5511961234567", company="Analytical Engines")
    Notification.objects.create(
        user=owner, organization=acme, kind="INFO", title="New lead", action_url=f"/leads/{lead.pk}/"
    )
    visitor = visit(owner)
    wrong: dict[str, list[str]] = {}
    for path in _members_pages(lead):
        visitor.open(path)
        if found := visitor.look(closely=True):
            wrong[path] = found
    assert not wrong, _told(wrong)


def test_pages_of_members_without_anything_on_them(visit: Visit, owner: Any) -> None:
    visitor = visit(owner)
    wrong: dict[str, list[str]] = {}
    for name in ("leads:list", "leads:board", "leads:imports", "campaigns:list", "notifications:inbox"):
        visitor.open(reverse(name))
        if found := visitor.look():
            wrong[name] = found
    assert not wrong, _told(wrong)


def _told(wrong: dict[str, list[str]]) -> str:
    return "\n".join(f"{page}\n    " + "\n    ".join(lines) for page, lines in wrong.items())


def _members_pages(lead: Lead) -> Iterator[str]:
    for name in ("leads:list", "leads:board", "leads:new", "notifications:inbox", "notifications:preferences"):
        yield reverse(name)
    yield f"{reverse('leads:list')}?show=all&q=ada"
    yield reverse("leads:lead", args=[lead.pk])
    yield reverse("leads:edit", args=[lead.pk])
    yield reverse("leads:act", args=[lead.pk, "note"])


def _worth_looking_at(pages: Iterable[Page], others: tuple[str, ...]) -> Iterator[Page]:
    """Pages that differ to the eye: neither answers to scripts, nor the same list with another filter."""
    seen: set[str] = set()
    for page in of_each_kind(pages):
        model, _, kind = page.name.partition(" ")
        if model.rstrip(":") in others:
            continue
        if page.data or kind.startswith(("search:", "choices of", "older", "oldest", "back from", "list ?")):
            continue
        stock = f"{model.partition('.')[0]} {kind.partition(':')[0]}"
        if kind.startswith(STOCK) and stock in seen:
            continue
        seen.add(stock)
        yield page
