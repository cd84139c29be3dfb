"""Middleware that gives each request an id, which its log lines and the jobs that it causes carry."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from .origin import META_KEY, REQUEST_ID, set_request_id

HEADER = "X-Request-ID"


class RequestIdMiddleware:
    """Takes the id that a proxy gave the request, if it is a sane one, or makes one; and tells it in the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The response, with the request's id."""
        given = request.META.get(META_KEY, "")
        # a line that Django writes once all middleware is through finds it there
        id = request.META[META_KEY] = given if REQUEST_ID.match(given) else uuid4().hex
        set_request_id(id)
        try:
            response = self.get_response(request)
        finally:
            set_request_id("")  # the thread's next request may come past this middleware
        response[HEADER] = id
        return response
