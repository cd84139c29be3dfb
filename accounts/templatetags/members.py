"""What the members' pages share."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib import admin
from django.http import HttpRequest
from django.template.context import RequestContext
from django.urls import reverse

from accounts.navigation import places_of
from admin_lists.moments import ago

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


register.filter("ago", ago)
