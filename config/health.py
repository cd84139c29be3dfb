"""`/health/`: whether this process can serve, for load balancers and containers."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error as DatabaseFailure
from django.db import connection
from django.http import HttpRequest, HttpResponse

PATH = "/health/"
logger = logging.getLogger("config.health")


class HealthCheck:
    """Middleware: answers 200 if the database answers and is migrated, else 503; nothing more is told.

    It comes first: who asks knows neither the site's host name nor HTTPS, and gets no session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The state of this process, or the page that was asked for."""
        if request.path != PATH:
            return self.get_response(request)
        healthy = _database_answers()
        return HttpResponse(
            "ok\n" if healthy else "database away\n",
            status=200 if healthy else 503,
            content_type="text/plain",
            headers={"Cache-Control": "no-store"},
        )


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            # SQLite opens its file only for a query that reads from it
            cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
            return cursor.fetchone() is not None
    except DatabaseFailure as error:
        logger.error("unhealthy %s: %s", type(error).__name__, " ".join(str(error).split()))
        return False
