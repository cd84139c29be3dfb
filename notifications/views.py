"""The signed-in user's inbox."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import sight

from .models import Notification
from .services import mark_read

SHOWN = 50


@require_GET
@never_cache
@login_required
def inbox(request: HttpRequest) -> HttpResponse:
    """The newest notifications."""
    own = _own(request)
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


def _own(request: HttpRequest) -> QuerySet[Notification]:
    """What the user was told, without what belongs to an organization that they have left."""
    own = Notification.objects.filter(user_id=_user_id(request))
    ids = sight.organization_ids(request.user)
    return own if ids is None else own.filter(Q(organization=None) | Q(organization__in=ids))


def _user_id(request: HttpRequest) -> UUID:
    """`login_required` lets nobody in who has none."""
    return cast(UUID, request.user.pk)
