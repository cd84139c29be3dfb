"""Every page of the admin, found by walking the registry: a model that is registered tomorrow is not forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest, QueryDict
from django.test import RequestFactory
from django.urls import reverse

#: Fields of a row whose values people type into the search box.
TYPED = ("email", "to", "name", "key", "event_id", "about_id")
#: Texts that people type: a name's beginning, a part of an error, and what nothing holds.
TEXTS = ("ada", "Service Unavailable", "nobody@nowhere.example")
#: A job's page looks different in each of these states.
STATES = ("completed", "failed", "queued", "active", "cancelled")
#: From so many choices on, not every one of a filter is paired with the others'.
MANY = 10


@dataclass(frozen=True)
class Page:
    """One page: `name` is the same on every database; with `data` it is asked for by POST."""

    name: str
    path: str
    data: dict[str, Any] = field(default_factory=dict)


def every_page(user: Any, *, pairs: bool = True, without: tuple[str, ...] = ()) -> Iterator[Page]:
    """The pages that this person may open, each once. `pairs`: also each choice of a filter with each of another.

    `without` names apps and models to leave out.
    """
    site = admin.site
    yield Page("index", reverse("admin:index"))
    for app in site.get_app_list(_request(user)):
        yield Page(f"{app['app_label']}: overview", reverse("admin:app_list", args=[app["app_label"]]))
    for model, model_admin in site._registry.items():
        left_out = {model._meta.app_label, model._meta.label_lower} & set(without)
        if not left_out and model_admin.has_view_permission(_request(user)):
            yield from _model_pages(model, model_admin, user, pairs=pairs)


def of_each_kind(pages: Iterable[Page]) -> Iterator[Page]:
    """One page of each kind, which is half of them: one choice of each filter, one text, one part of an id, one row.

    The row is the oldest one, as all others point to it.
    """
    seen: set[str] = set()
    for page in pages:
        kind = _kind(page.name)
        if not page.name.endswith((": newest", ": company-0")) and kind not in seen:
            seen.add(kind)
            yield page


def _kind(name: str) -> str:
    text = "|".join(map(re.escape, TEXTS))
    return re.sub(rf"(?<==)[^&]*|(?<=search: )({text})$|(?<=search: an id's )(head|tail)$", "", name)


def _model_pages(model: type[Model], model_admin: Any, user: Any, *, pairs: bool) -> Iterator[Page]:
    label = model._meta.label_lower
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    address = reverse(f"{name}_changelist")
    request = _request(user)
    for query in ["", *_queries(model_admin, user, pairs=pairs)]:
        yield Page(f"{label} list {query}".rstrip(), address + query)
    for choice in ("?", *(query for query in _queries(model_admin, user, pairs=False)[:2])):
        yield from _deep_pages(model_admin, user, label, address, choice)
    rows = list(model_admin.get_queryset(request).order_by("-pk")[:2])
    if model_admin.get_search_fields(request):
        for text, value in _typed(rows):
            yield Page(f"{label} search: {text}", f"{address}?{urlencode({'q': value})}")
    if model_admin.has_add_permission(request):
        yield Page(f"{label} add", reverse(f"{name}_add"))
    for which, row in _samples(model_admin, request):
        key = quote(row.pk)
        yield Page(f"{label} page: {which}", reverse(f"{name}_change", args=[key]))
        if which in STATES:
            continue
        yield Page(f"{label} history: {which}", reverse(f"{name}_history", args=[key]))
        if model_admin.has_delete_permission(request, row):
            yield Page(f"{label} delete: {which}", reverse(f"{name}_delete", args=[key]))
        yield from _own_pages(label, which, row, user)
    chosen = {admin.helpers.ACTION_CHECKBOX_NAME: [str(row.pk) for row in rows]}
    actions = model_admin.get_actions(request)
    if rows and "delete_selected" in actions:
        yield Page(f"{label} delete selected", address, {"action": "delete_selected", **chosen})
    if label == "jobs.job":
        for action in actions:
            yield Page(f"{label} {action} of all", address, {"action": action, "select_across": "1", **chosen})
    for one in model_admin.get_autocomplete_fields(request):
        query = urlencode({"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": one})
        for term in ("", "user3"):
            yield Page(f"{label} choices of {one}: {term}", f"{reverse('admin:autocomplete')}?{query}&term={term}")


def _queries(model_admin: Any, user: Any, *, pairs: bool) -> list[str]:
    """The filters' choices, and pairs of choices of different filters."""
    changelist = model_admin.get_changelist_instance(_request(user))
    choices = [
        [query for choice in spec.choices(changelist) if (query := choice["query_string"]) != "?"]
        for spec in changelist.filter_specs
    ]
    single = [query for queries in choices for query in queries]
    if not pairs:
        return single
    # of a long list of choices a few stand for the others
    few = [queries if len(queries) < MANY else queries[:: len(queries) // 3] for queries in choices]
    return single + [f"{a}&{b[1:]}" for one, other in combinations(few, 2) for a in one for b in other]


def _deep_pages(model_admin: Any, user: Any, label: str, address: str, query: str) -> Iterator[Page]:
    """The second page, the oldest one, and the one before it."""
    for which, attribute in (("older", "older_link"), ("oldest", "oldest_link")):
        changelist = model_admin.get_changelist_instance(_request(user, query))
        found = getattr(changelist, attribute, None)
        if not hasattr(changelist, attribute) and changelist.multi_page:
            found = "?p=2"  # Django's own list
        if not found:
            continue
        yield Page(f"{label} {which} page {query[1:]}".rstrip(), address + found)
        newer = getattr(model_admin.get_changelist_instance(_request(user, found)), "newer_link", None)
        if newer:
            yield Page(f"{label} back from the {which} page {query[1:]}".rstrip(), address + newer)


def _typed(rows: list[Any]) -> Iterator[tuple[str, str]]:
    for text in TEXTS:
        yield text, text
    if not rows:
        return
    row, key = rows[0], str(rows[0].pk)
    yield "an id", key
    if len(key) > 8:
        yield "an id's head", key[:8]
        yield "an id's tail", key[-8:]
    for name in TYPED:
        if value := getattr(row, name, None):
            yield f"the row's {name}", str(value)


def _samples(model_admin: Any, request: HttpRequest) -> Iterator[tuple[str, Any]]:
    """The newest row, the oldest, and the largest organisation; of the jobs, one of each state."""
    everything = model_admin.get_queryset(request)
    key = getattr(model_admin, "page_key", ("pk",))
    found = {
        "newest": everything.order_by(*(f"-{column}" for column in key)).first(),
        "oldest": everything.order_by(*key).first(),
        "company-0": everything.filter(slug="company-0").first() if hasattr(model_admin.model, "slug") else None,
    }
    if model_admin.model._meta.label_lower == "jobs.job":
        found |= {state: everything.filter(state=state).order_by("-pk").first() for state in STATES}
    yield from ((which, row) for which, row in found.items() if row is not None)


def _own_pages(label: str, which: str, row: Any, user: Any) -> Iterator[Page]:
    """Pages beside the stock ones, by the names of their addresses."""
    if label == "leads.lead":
        from leads.panels import registry

        for name, action in registry.actions.items():
            if user.has_perm(action.permission):
                yield Page(f"{label} {name}: {which}", reverse("admin:leads_lead_do", args=[row.pk, name]))
    if label == "emails.emailmessage":
        yield Page(f"{label} html: {which}", reverse("admin:emails_emailmessage_html", args=[row.pk]))
    if label == "jobs.job":
        address = reverse("admin:jobs_job_changelist")
        queries = {
            "about": f"{row.about_type}:{row.about_id}",
            "event_id": str(row.event_id or ""),
            "parent_id": str(row.parent_id or ""),
        }
        for name, value in queries.items():
            if value.strip(":"):
                yield Page(f"{label} list {name} of: {which}", f"{address}?{urlencode({name: value})}")


def _request(user: Any, query: str = "") -> HttpRequest:
    request = RequestFactory().get("/", QueryDict(query.lstrip("?")))
    request.user = user
    return request
