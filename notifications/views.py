"""The signed-in user's inbox."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from .models import Notification
from .services import mark_read

SHOWN = 50


@require_GET
@login_required
def inbox(request: HttpRequest) -> HttpResponse:
    """The newest notifications."""
    own = Notification.objects.filter(user_id=_user_id(request))
    unread = own.filter(read_at__isnull=True).count()
    return render(request, "notifications/inbox.html", {"notifications": own[:SHOWN], "unread": unread})


@require_POST
@login_required
def read(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    """Mark one of the user's notifications read."""
    mark_read(_user_id(request), notification_id)
    return redirect("notifications:inbox")


@require_POST
@login_required
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all of the user's notifications read."""
    mark_read(_user_id(request))
    return redirect("notifications:inbox")


def _user_id(request: HttpRequest) -> int:
    """`login_required` lets nobody in who has none."""
    return cast(int, request.user.pk)
