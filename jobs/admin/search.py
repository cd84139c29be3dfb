"""The search box: what was typed decides where to look, and no look reads more than a bounded window."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from admin_lists.search import as_uuid

from .. import lookup
from ..models import Job
from ..states import State

#: Windows of rows, newest first, in which the looks without an index of their own search.
WINDOW_IDS = 100_000
WINDOW_ERRORS = 10_000
#: The jobs whose id ends in these digits, among the newest: a walk along the key that stops at the window's end.
_TAILS = "SELECT id FROM (SELECT id FROM jobs_job ORDER BY id DESC LIMIT %s) AS newest WHERE CAST(id AS text) LIKE %s"
_HEX = re.compile(r"[0-9a-f]{4,31}\Z")


def places(rows: QuerySet[Job], text: str) -> Iterator[QuerySet[Job]]:
    """Where a text may name a job, the cheapest first: id (also its head or tail), event id, object, key, error text.

    Each query is cut off by the caller.
    """
    rows = rows.order_by("-pk")
    whole = as_uuid(text)
    if whole is not None:
        yield rows.filter(pk=whole)
        yield rows.filter(event_id=whole)
        yield lookup.about(rows, lookup.about_types(), [str(whole), whole.hex])
        return
    label, colon, key = text.partition(":")
    if colon and key:
        types = [known for known in lookup.about_types() if label.lower() in (known, known.partition(".")[2])]
        key_uuid = as_uuid(key)
        yield lookup.about(rows, types, [key.strip(), *((str(key_uuid), key_uuid.hex) if key_uuid else ())])
    digits = text.lower().replace("-", "")
    if _HEX.match(digits):
        yield rows.filter(pk__range=lookup.id_range(digits))
        # PostgreSQL's text of an id has hyphens, SQLite's none
        tail = text.lower() if connections[rows.db].vendor == "postgresql" else digits
        yield rows.filter(pk__in=RawSQL(_TAILS, [WINDOW_IDS, f"%{tail}"]))
    yield lookup.about(rows, lookup.about_types(), [text])
    yield rows.filter(key=text)
    for state in (State.FAILED, State.QUEUED):
        yield _newest(rows.filter(state=state), WINDOW_ERRORS).filter(error__icontains=text)


def _newest(rows: QuerySet[Job], window: int) -> QuerySet[Job]:
    return rows.model._default_manager.using(rows.db).filter(pk__in=rows.values("pk")[:window]).order_by("-pk")
