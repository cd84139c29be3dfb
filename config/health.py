"""`/health/`: whether this process is alive; `/ready/`: whether the site can do its work. For whoever probes."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from jobs import InvalidOption, readiness

ALIVE, READY = "/health/", "/ready/"


class HealthCheck:
    """Middleware: answers both, in words that tell nobody anything worth knowing.

    It comes first: who asks knows neither the site's host name nor HTTPS, and gets no session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The state of this process or of the site, or the page that was asked for."""
        if request.path == ALIVE:
            return _answer(200, "ok")
        if request.path == READY:
            return _readiness(request)
        return self.get_response(request)


def _readiness(request: HttpRequest) -> HttpResponse:
    try:
        checks = readiness(leave_out=request.GET.getlist("exclude"))
    except InvalidOption as error:
        return _answer(400, str(error))
    status = 503 if any(check.problem for check in checks) else 200
    return _answer(status, "\n".join(f"{check.name} {check.problem or 'ok'}" for check in checks))


def _answer(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain", headers={"Cache-Control": "no-store"})
