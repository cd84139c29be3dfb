"""What a trusted proxy says of a request."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from ipaddress import ip_address

from django.http import HttpRequest, HttpResponse

#: Some proxies name the port as well; an IPv6 address stands in brackets then.
_WITH_PORT = re.compile(r"(?:([\d.]+)|\[([^\]]+)\])(?::\d+)?\Z")


class ClientAddress:
    """Middleware: the address of who asks is the last one in `X-Forwarded-For`, which the proxy itself has added.

    Without it all visitors have the proxy's address, and share one sender's limits. Only for `TRUST_PROXY`: whoever
    reaches the server directly could name any address.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The response to the request with its client's address."""
        last = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if found := _WITH_PORT.match(last):
            last = found[1] or found[2]
        with contextlib.suppress(ValueError):  # none was named: the proxy's own stays
            request.META["REMOTE_ADDR"] = str(ip_address(last))
        return self.get_response(request)
