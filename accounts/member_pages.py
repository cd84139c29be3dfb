"""What every page for members has in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.cache import never_cache

from .models import User
from .time_zones import zone_of


def member_page(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """For who is signed in, kept by no cache, with times as the person's clock shows them."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with timezone.override(zone_of(person_of(request))):
            return view(request, *args, **kwargs)

    guarded: Callable[..., HttpResponseBase] = never_cache(login_required(page))
    return guarded


def person_of(request: HttpRequest) -> User:
    """Who asks, behind `login_required`."""
    return cast(User, request.user)
