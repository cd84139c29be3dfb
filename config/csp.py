"""The Content-Security-Policy header, on Django 5.2 as on 6.1."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"


class ContentSecurityPolicy:
    """Middleware: what a page may load and run. A view that sets the header itself keeps its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The response, with the policy."""
        response = self.get_response(request)
        # Django's own pages for a developer's mistakes carry their style and script within them.
        if not (settings.DEBUG and response.status_code in {404, 500}):
            response.headers.setdefault(HEADER, settings.CONTENT_SECURITY_POLICY)
        return response
