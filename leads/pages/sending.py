"""A CSV file that is sent while it is made: never whole in memory, by whichever kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone, translation
from django.utils.http import content_disposition_header

from ..csv_cells import csv_lines

#: Lines that are sent at once.
_SENT = 500


def csv_response(
    request: HttpRequest,
    name: str,
    rows: Callable[[], Iterable[Sequence[Any]]],
    *,
    delimiter: str = ",",
    bom: bool = True,
) -> StreamingHttpResponse:
    """The rows as a file of this name, in the language and by the clock of who asks."""
    parts = _parts(csv_lines(rows(), delimiter=delimiter, bom=bom))
    # a server of the other kind would first read the whole file
    content = _from_thread(parts) if isinstance(request, ASGIRequest) else parts
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _parts(lines: Iterator[str]) -> Iterator[str]:
    language, zone = translation.get_language(), timezone.get_current_timezone()

    def part() -> str:
        with translation.override(language), timezone.override(zone):
            return "".join(islice(lines, _SENT))

    return iter(part, "")


async def _from_thread(parts: Iterator[str]) -> AsyncIterator[str]:
    while part := await sync_to_async(_next)(parts):
        yield part


def _next(parts: Iterator[str]) -> str:
    return next(parts, "")
