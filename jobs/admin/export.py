"""Export of all jobs that the list shows: a stream of CSV or of JSON lines, of any length, in little memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.http import (
    HttpRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from .. import clock
from ..broker.database.values import tags_of
from ..errors import JobsError
from ..history import lookup
from ..models import Job
from ..operate.audit import note_all
from ..operate.operations import Listed
from ..visible import visible
from . import many
from .query_box import box_of
from .sight import may
from .which import in_words

PERMISSION = "jobs.export_job"
#: Jobs that are read at once.
PIECE = 200
#: The columns, in their order.
COLUMNS = (
    *("id", "queue", "task", "state", "priority", "created_at", "ready_at", "started_at", "ended_at", "run"),
    *("attempts", "starts", "lost", "about", "tags", "group", "scope", "key", "event", "event_id", "parent_id"),
    *("cause", "release", "error", "reason", "arguments"),
)
#: With what a cell must not begin: a spreadsheet would take it for a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def export_page(request: HttpRequest, model_admin: ModelAdmin[Job]) -> HttpResponseBase:
    """The file; the address says which jobs, as that of the list does."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not (model_admin.has_view_permission(request) and may(request, PERMISSION)):
        raise PermissionDenied
    back = reverse(f"{model_admin.admin_site.name}:jobs_job_changelist")
    kind = request.POST.get("format", "")
    write = {"csv": _csv, "json": _json_lines}.get(kind)
    seen: Any = model_admin.get_changelist_instance(request)
    if (problem := box_of(request).problem) or write is None:
        text = problem or _("format=%(value)s: expected csv or json") % {"value": kind}
        model_admin.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(f"{back}?{request.GET.urlencode()}")
    chosen = many.listed(request, seen.queryset, PERMISSION)
    try:
        rows = _rows(chosen, clock.now())
        newest = rows.order_by("-pk").values_list("pk", flat=True).first()
    except JobsError as error:
        model_admin.message_user(request, capfirst(str(error)), messages.ERROR)
        return HttpResponseRedirect(f"{back}?{request.GET.urlencode()}")
    words = ", ".join(f"{name}: {value}" for name, value in in_words(chosen)) or _("all")
    note_all(many.user_of(request), Job, _("Exported as %(format)s: %(which)s.") % {"format": kind, "which": words})
    documents = _documents(chosen, newest)
    content: Any = write(documents)
    if isinstance(request, ASGIRequest):
        content = _one_by_one(content)
    response = StreamingHttpResponse(content, content_type={"csv": "text/csv"}.get(kind, "application/x-ndjson"))
    name = f"jobs-{clock.now():%Y-%m-%d-%H%M}.{'csv' if kind == 'csv' else 'ndjson'}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _rows(chosen: Listed, now: datetime) -> Any:
    rows = chosen.rows(now)
    return lookup.in_state(rows, chosen.state, now) if chosen.state else rows


def _documents(chosen: Listed, newest: UUID | None) -> Iterator[list[Mapping[str, Any]]]:
    """The jobs, newest first, in pieces: what arrives meanwhile is left out."""
    last, now = newest, clock.now()
    is_first = True
    while last is not None:
        rows = _rows(chosen, now).filter(**{"pk__lte" if is_first else "pk__lt": last})
        found = list(rows.defer("result").order_by("-pk")[:PIECE])
        yield [_document(job) for job in lookup.as_they_read(found, chosen.state)]
        last, is_first = (found[-1].pk if len(found) == PIECE else None), False


def _document(job: Job) -> Mapping[str, Any]:
    mask = lookup.mask_of(job)
    return {
        **{name: getattr(job, name) for name in ("id", "queue", "task", "priority", "created_at", "ready_at", "run")},
        **{name: getattr(job, name) for name in ("started_at", "ended_at", "attempts", "starts", "lost", "scope")},
        **{name: getattr(job, name) for name in ("group", "event", "event_id", "parent_id", "cause", "release")},
        "state": job.shown_state(),
        "about": f"{job.about_type}:{job.about_id}" if job.about_type else "",
        "tags": list(tags_of(job.tags)),
        "key": lookup.shown_key(job) or "",
        "error": mask(job.error),
        "reason": mask(job.reason),
        "arguments": {one.name: one.value for one in lookup.arguments(job)},
    }


def _csv(pieces: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    yield _csv_lines([COLUMNS])
    for piece in pieces:
        yield _csv_lines([_cell(document[name]) for name in COLUMNS] for document in piece)


def _csv_lines(lines: Iterable[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(lines)
    return written.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        value = ", ".join(value)
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    text = visible(str(value), keep="\n\t")
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _json_lines(pieces: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for piece in pieces:
        lines = ({name: document[name] for name in COLUMNS} for document in piece)
        yield "".join(f"{json.dumps(line, ensure_ascii=False, default=_plain)}\n" for line in lines)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def _one_by_one(content: Iterator[str]) -> AsyncIterator[str]:
    """The same for an asynchronous server, which would else read it to its end first."""
    following: Callable[[], Any] = sync_to_async(lambda: next(content, None))
    while (text := await following()) is not None:
        yield text
