"""Pages that the admin's registry does not name: those of members, and the engine's own beside its models."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.urls import NoReverseMatch, URLPattern, URLResolver, reverse

from accounts import sight
from admin_lists.pages import Order
from emails.models import Campaign
from leads.models import Lead, LeadImport
from notifications.models import Notification

from .pages import Page

INBOX = Order(Notification, ("created_at", "pk"))

#: What people choose above the list and the board, and what they type.
FILTERS = {"status": "new", "source": "website", "score": "high"}
TEXTS = ("ada", "lead77@mail77.example", "+5511000000042", "nobody@nowhere.example")


def members_pages(user: Any) -> Iterator[Page]:
    """The pages for members as this person finds them: lists by each filter and pair, the newest and the oldest row."""
    for name in ("list", "board"):
        address = reverse(f"leads:{name}")
        for query in _choices(without=() if name == "list" else ("status",)):
            yield Page(f"leads {name} {urlencode(query)}", f"{address}?{urlencode(query)}")
    yield Page("leads list the last page", f"{reverse('leads:list')}?show=all&after=")
    leads = Lead.objects.order_by("created_at")
    ids = sight.organization_ids(user, "leads.view_lead")
    seen = leads if ids is None else leads.filter(organization__in=ids[:1])
    for which, lead in (("newest", seen.last()), ("oldest", seen.first())):
        if lead is not None:
            yield Page(f"lead page: {which}", lead.get_absolute_url())
            yield Page(f"lead edit: {which}", reverse("leads:edit", args=[lead.pk]))
    for name in (
        "leads:new",
        "leads:imports",
        "campaigns:list",
        "campaigns:new",
        "notifications:inbox",
        "notifications:unread",
        "notifications:news",
    ):
        yield Page(f"member {name}", reverse(name))
    yield Page("member preferences", reverse("notifications:preferences"))
    if row := Notification.objects.filter(user=user).order_by("created_at")[60:61].first():
        before = urlencode({"before": INBOX.key_text(row)})
        yield Page("member inbox: an old page", f"{reverse('notifications:inbox')}?{before}")
    yield from _of_rows(ids)


def engine_pages() -> Iterator[Page]:
    """Whatever the engine adds to the admin that opens by its address, or by the name of a queue."""
    seen = set()
    for pattern in _patterns(admin.site.urls[0]):
        name = pattern.name or ""
        if not name.startswith("jobs_") or name in seen or name.endswith(("_add", "_changelist")):
            continue
        seen.add(name)
        for arguments in ([], ["lead"]):
            try:
                yield Page(f"engine {name}", reverse(f"admin:{name}", args=arguments))
            except NoReverseMatch:
                continue
            break


def _choices(without: tuple[str, ...]) -> Iterator[dict[str, str]]:
    filters = {name: value for name, value in FILTERS.items() if name not in without}
    for tab in ("mine", "unassigned", "all"):
        yield {"show": tab}
        for name, value in filters.items():
            yield {"show": tab, name: value}
        for pair in combinations(filters.items(), 2):
            yield {"show": tab, **dict(pair)}
    for text in TEXTS:
        yield {"show": "all", "q": text}


def _of_rows(ids: Any) -> Iterator[Page]:
    for model, name in ((LeadImport, "leads:import"), (Campaign, "campaigns:campaign")):
        rows = model.objects.all() if ids is None else model.objects.filter(organization__in=ids)
        row = rows.order_by("-pk").first()
        if row is None:
            continue
        try:
            yield Page(f"member {name}", reverse(name, args=[row.pk]))
        except NoReverseMatch:
            continue


def _patterns(patterns: Any) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern
