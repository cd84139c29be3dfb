"""The signed-in user's inbox, what the bell says, and how the user is reached."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import condition, require_GET, require_http_methods, require_POST

from accounts.member_pages import member_page, person_of
from accounts.services import choose_digest
from admin_lists.pages import BEFORE, Order, Page, read_page

from .forms import PreferencesForm
from .inbox import inbox_of, with_leads
from .models import Notification
from .place import unread_of
from .services import mark_read
from .wishes import wishes_of

SHOWN = 50
_ORDER = Order(Notification, ("created_at", "pk"))


def _state(request: HttpRequest) -> str:
    """What tells two states of the inbox apart: its newest line, how many are unread, and in which words."""
    newest = inbox_of(person_of(request)).order_by("-created_at", "-pk").values_list("pk", flat=True).first()
    return f'"{newest}.{unread_of(person_of(request))}.{get_language()}"'


@require_GET
@member_page
def inbox(request: HttpRequest) -> HttpResponse:
    """The newest notifications, or those before one of them."""
    # before the lines: what comes in meanwhile is asked for at the next look
    state, text = _state(request), request.GET.get(BEFORE, "")
    try:
        page = _page(request, _ORDER.key(text) if text else None)
    except ValidationError:
        raise Http404 from None
    rows = page.rows
    context = {
        "lines": with_leads(person_of(request), rows),
        "unread": unread_of(person_of(request)),
        "state": state,
        "live": not page.newer,
        "older": _ORDER.key_text(rows[-1]) if rows and page.older else "",
        "newer": page.newer,
    }
    return render(request, "notifications/inbox.html", context)


@require_GET
@member_page
@condition(etag_func=_state)
def unread(request: HttpRequest) -> HttpResponse:
    """How many are unread, as plain text; 304 to who knows it already."""
    return HttpResponse(unread_of(person_of(request)), content_type="text/plain; charset=utf-8")


@require_GET
@member_page
@condition(etag_func=_state)
def news(request: HttpRequest) -> HttpResponse:
    """The lines of the inbox's first page; 304 to who has them already."""
    person = person_of(request)
    context = {"lines": with_leads(person, _page(request).rows), "unread": unread_of(person)}
    return render(request, "notifications/lines.html", context)


@require_POST
@member_page
def read(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    """Mark one of the user's notifications read."""
    mark_read(person_of(request).pk, notification_id)
    return redirect("notifications:inbox")


@require_POST
@member_page
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all of the user's notifications read."""
    mark_read(person_of(request).pk)
    return redirect("notifications:inbox")


@require_POST
@member_page
def digest(request: HttpRequest) -> HttpResponse:
    """Get the daily mail from now on, or get it no more."""
    wanted = {"yes": True, "no": False}.get(request.POST.get("wanted", ""))
    if wanted is None:
        return HttpResponseBadRequest("wanted: expected yes or no\n", content_type="text/plain")
    choose_digest(person_of(request).pk, wanted)
    return redirect("notifications:inbox")


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def preferences(request: HttpRequest) -> HttpResponse:
    """How the user is reached: by which kind of news on which channel, when not, and once a day."""
    person = person_of(request)
    wishes = wishes_of(person.pk)
    form = PreferencesForm(person, wishes, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        form.save()
        messages.success(request, _("Your preferences are saved."))
        return redirect("notifications:preferences")
    context: dict[str, Any] = {"form": form, "has_device": person.push_devices.exists()}
    return render(request, "notifications/preferences.html", context, status=400 if form.is_bound else 200)


def _page(request: HttpRequest, before: Any = None) -> Page:
    return read_page(inbox_of(person_of(request)), _ORDER, SHOWN, before=before)
