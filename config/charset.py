"""In which charsets a form may arrive."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest

#: What browsers send. Python knows others by which bytes become half characters, or no text at all.
KNOWN = frozenset({"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"})


class KnownCharset:
    """Middleware: refuse a request that says that its text is in a charset of no browser; before anything reads it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The response to the request, or 400."""
        if request.encoding is None or codecs.lookup(request.encoding).name in KNOWN:
            return self.get_response(request)
        return HttpResponseBadRequest("Send the form in UTF-8.\n", content_type="text/plain")
