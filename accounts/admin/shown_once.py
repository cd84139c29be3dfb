"""A page that shows a new secret this one time: neither a cookie nor a session keeps it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers


def shown_once(
    model_admin: ModelAdmin[Any], request: HttpRequest, obj: Any, title: str, secret: str
) -> TemplateResponse:
    """Answer a POST with the secret itself; the way back leads to the page of `obj`."""
    options, site = model_admin.opts, model_admin.admin_site.name
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "object": obj,
        "secret": secret,
        "opts": options,
        "back": reverse(
            f"{model_admin.admin_site.name}:{options.app_label}_{options.model_name}_change", args=[obj.pk]
        ),
    }
    request.current_app = site
    response = TemplateResponse(request, "admin/accounts/shown_once.html", context)
    add_never_cache_headers(response)
    return response
