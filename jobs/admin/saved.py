"""Saved filters above the job list, and the pages on which they are saved, changed and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from ..errors import InvalidOption, Refused
from ..models import Job, SavedFilter
from ..operate.saved_filters import (
    change_filter,
    default_of,
    delete_filter,
    filters_for,
    may_share,
    save_filter,
)
from .many import user_of

#: Of the address, what belongs to a page and not to the filter.
_OF_PAGE = ("before", "after", "e")


def saved_urls(model_admin: ModelAdmin[Job]) -> list[URLPattern]:
    """The addresses; each but the page of all is for POST."""
    view = model_admin.admin_site.admin_view
    acts = {"save": _save, "change": _change, "delete": _delete}
    return [
        path("filters/", view(_manage), {"model_admin": model_admin}, "jobs_filters"),
        *(
            path(f"filters/{name}/", view(_act), {"model_admin": model_admin, "act": act}, f"jobs_filter_{name}")
            for name, act in acts.items()
        ),
    ]


def saved_context(request: HttpRequest, site: str) -> dict[str, Any]:
    """The filters that the list shows, the one that is open, and what is asked for to save another."""
    address = _address(request)
    list_address = reverse(f"{site}:jobs_job_changelist")
    lines = [
        {"name": row.name, "address": f"{list_address}?{row.address}", "open": row.address == address}
        for row in filters_for(user_of(request))
    ]
    return {
        "lines": lines,
        "all": {"address": f"{list_address}?q=", "open": not address},
        "save": reverse(f"{site}:jobs_filter_save"),
        "manage": reverse(f"{site}:jobs_filters"),
        "filter": address,
        "may_share": may_share(user_of(request)),
    }


def first_list(request: HttpRequest) -> str:
    """The address of the list that the person wants to see first; empty where another one is asked for."""
    if request.GET or request.method != "GET":
        return ""
    found = default_of(user_of(request))
    return f"?{found.address}" if found is not None else ""


def _address(request: HttpRequest) -> str:
    """The filter in the list's address, always in the same order."""
    return _in_order(request.GET)


def _in_order(given: QueryDict) -> str:
    kept = QueryDict(mutable=True)
    for name in sorted(given):
        if name not in _OF_PAGE and (value := given.get(name)):
            kept[name] = str(value)
    return kept.urlencode()


def _manage(request: HttpRequest, model_admin: ModelAdmin[Job]) -> HttpResponse:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    site, by = model_admin.admin_site, user_of(request)
    list_address = reverse(f"{site.name}:jobs_job_changelist")
    rows = filters_for(by)
    context = {
        **site.each_context(request),
        "title": _("Saved filters"),
        "subtitle": None,
        "opts": model_admin.opts,
        "back": list_address,
        "own": [_line(row, list_address) for row in rows if row.by_id == str(by.pk)],
        "others": [_line(row, list_address) for row in rows if row.by_id != str(by.pk)],
        "may_share": may_share(by),
        "change": reverse(f"{site.name}:jobs_filter_change"),
        "delete": reverse(f"{site.name}:jobs_filter_delete"),
    }
    request.current_app = site.name
    return TemplateResponse(request, "admin/jobs/job/filters.html", context)


def _line(row: SavedFilter, list_address: str) -> dict[str, Any]:
    words = ", ".join(f"{name}: {value}" for name, value in QueryDict(row.address).items()) or _("all")
    return {"row": row, "address": f"{list_address}?{row.address}", "words": words.replace("q: ", "")}


def _act(
    request: HttpRequest, model_admin: ModelAdmin[Job], act: Callable[[HttpRequest], tuple[str, str]]
) -> HttpResponse:
    return require_POST(lambda request: _posted(request, model_admin, act))(request)


def _posted(
    request: HttpRequest, model_admin: ModelAdmin[Job], act: Callable[[HttpRequest], tuple[str, str]]
) -> HttpResponse:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    site = model_admin.admin_site.name
    try:
        told, address = act(request)
    except (InvalidOption, Refused) as refusal:
        model_admin.message_user(request, capfirst(str(refusal)), messages.ERROR)
        told, address = "", _in_order(QueryDict(request.POST.get("filter", "")))
    else:
        model_admin.message_user(request, told, messages.SUCCESS)
    if "filter" in request.POST:
        return HttpResponseRedirect(f"{reverse(f'{site}:jobs_job_changelist')}?{address or 'q='}")
    return HttpResponseRedirect(reverse(f"{site}:jobs_filters"))


def _save(request: HttpRequest) -> tuple[str, str]:
    address = _in_order(QueryDict(request.POST.get("filter", "")))
    shared = bool(request.POST.get("shared"))
    row = save_filter(request.POST.get("name", ""), address, user_of(request), shared=shared)
    return _("Saved: %(name)s.") % {"name": row.name}, address


def _change(request: HttpRequest) -> tuple[str, str]:
    row = change_filter(
        _id(request),
        user_of(request),
        name=request.POST.get("name", ""),
        shared=bool(request.POST.get("shared")),
        is_default=bool(request.POST.get("is_default")),
    )
    return _("Saved: %(name)s.") % {"name": row.name}, ""


def _delete(request: HttpRequest) -> tuple[str, str]:
    delete_filter(_id(request), user_of(request))
    return _("Deleted."), ""


def _id(request: HttpRequest) -> int:
    given = request.POST.get("id", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else 0
