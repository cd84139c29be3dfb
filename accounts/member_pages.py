"""What every page for members has in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import tzinfo
from functools import wraps
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from .models import User


def member_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For who is signed in, kept by no cache, with times as the person's clock shows them."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with timezone.override(zone_of(person_of(request))):
            return view(request, *args, **kwargs)

    guarded: Callable[..., HttpResponse] = never_cache(login_required(page))
    return guarded


def person_of(request: HttpRequest) -> User:
    """Who asks, behind `login_required`."""
    return cast(User, request.user)


def zone_of(user: User) -> tzinfo:
    """The person's time zone, else the site's; also where the machine no longer knows a zone."""
    if user.time_zone:
        with suppress(ZoneInfoNotFoundError, ValueError):
            return ZoneInfo(user.time_zone)
    return timezone.get_default_timezone()
