"""Who may read the metrics: who knows the token, and comes from an allowed network. What is not set is not asked."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound

from ..conf import jobs_settings
from .text import CONTENT_TYPE_LATEST, metrics_text

PATH = "/metrics"


def metrics_view(request: HttpRequest) -> HttpResponse:
    """The text that Prometheus reads; for a project's own `urls.py`.

    404 for whoever comes from elsewhere, and for everybody where neither is set, unless DEBUG is on; 401 without the
    token; 503 while the database is away.
    """
    options = jobs_settings()
    if not (options.metrics_token or options.metrics_networks or settings.DEBUG):
        return HttpResponseNotFound()
    if options.metrics_networks and not _is_inside(request, options.metrics_networks):
        return HttpResponseNotFound()
    if options.metrics_token and not _is_known(request, options.metrics_token):
        return HttpResponse("token required\n", status=401, headers={"WWW-Authenticate": "Bearer"})
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    try:
        text = metrics_text()
    except Error:
        return HttpResponse("database away\n", status=503, content_type="text/plain")
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


class MetricsMiddleware:
    """Answers `/metrics` before anything else does: who scrapes a container knows neither host name nor HTTPS."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The metrics, or the page that was asked for."""
        return metrics_view(request) if request.path == PATH else self.get_response(request)


def _is_inside(request: HttpRequest, networks: Sequence[str]) -> bool:
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:  # a socket file has none
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in ipaddress.ip_network(network) for network in networks)


def _is_known(request: HttpRequest, token: str) -> bool:
    kind, _space, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return hmac.compare_digest(given.strip().encode(), token.encode()) and kind.lower() == "bearer"
