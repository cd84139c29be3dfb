"""The signed-in user's inbox."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.services import choose_digest

from .inbox import inbox_of
from .services import mark_read

SHOWN = 50


@require_GET
@never_cache
@login_required
def inbox(request: HttpRequest) -> HttpResponse:
    """The newest notifications."""
    own = inbox_of(_user(request))
    unread = own.filter(read_at__isnull=True).count()
    return render(request, "notifications/inbox.html", {"notifications": own[:SHOWN], "unread": unread})


@require_POST
@login_required
def read(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    """Mark one of the user's notifications read."""
    mark_read(_user(request).pk, notification_id)
    return redirect("notifications:inbox")


@require_POST
@login_required
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all of the user's notifications read."""
    mark_read(_user(request).pk)
    return redirect("notifications:inbox")


@require_POST
@login_required
def digest(request: HttpRequest) -> HttpResponse:
    """Get the daily mail from now on, or get it no more."""
    wanted = {"yes": True, "no": False}.get(request.POST.get("wanted", ""))
    if wanted is None:
        return HttpResponseBadRequest("wanted: expected yes or no\n", content_type="text/plain")
    choose_digest(_user(request).pk, wanted)
    return redirect("notifications:inbox")


def _user(request: HttpRequest) -> User:
    """`login_required` lets nobody else in."""
    return cast(User, request.user)
