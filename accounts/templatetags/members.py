"""What the members' pages share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.contrib import admin
from django.http import HttpRequest
from django.template.context import RequestContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from accounts.navigation import places_of

register = template.Library()


@register.inclusion_tag("accounts/places.html", takes_context=True)
def places(context: RequestContext) -> dict[str, Any]:
    """The entries of the head, each with its address and what is new there."""
    request: HttpRequest = context["request"]
    user: Any = request.user
    shown = []
    for place in places_of(user):
        address = reverse(place.view)
        shown.append(
            {
                "place": place,
                "address": address,
                "current": request.path.startswith(address),
                "news": place.news(user) if place.news else "",
                "news_address": reverse(place.news_view) if place.news_view else "",
            }
        )
    return {"places": shown}


@register.filter
def finds_admin(request: HttpRequest) -> bool:
    """Whether the admin is open to who asks."""
    return admin.site.has_permission(request)


@register.filter
def ago(at: datetime) -> SafeString:
    """How long ago, or in how long, in one unit: *3 minutes ago*, *in 2 days*, *just now*; the exact time on hover."""
    local = timezone.localtime(at)
    exact = date_format(local, "SHORT_DATETIME_FORMAT")
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, _distance(at))


def _distance(at: datetime) -> str:
    now = timezone.now()
    if abs((now - at).total_seconds()) < 60:
        return _("just now")
    if at > now:
        return _("in %(time)s") % {"time": timesince(now, at, depth=1)}
    return _("%(time)s ago") % {"time": timesince(at, now, depth=1)}
