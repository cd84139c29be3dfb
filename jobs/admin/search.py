"""The search box: what was typed decides where to look, and no look reads more than a bounded window."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from admin_lists.search import as_uuid

from ..history import lookup
from ..models import Job
from ..states import State

#: Windows of rows, newest first, in which the looks without an index of their own search.
WINDOW_IDS = 100_000
WINDOW_ERRORS = 10_000
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
        yield _newest(rows.values_list("id"), WINDOW_IDS, "CAST(id AS text) LIKE %s", f"%{tail}")
    yield lookup.about(rows, lookup.about_types(), [text])
    yield rows.filter(key=text)
    part = f"%{connections[rows.db].ops.prep_for_like_query(text)}%"
    for state in (State.FAILED, State.QUEUED):
        errors = rows.filter(state=state).values_list("id", "error")
        yield _newest(errors, WINDOW_ERRORS, r"UPPER(error) LIKE UPPER(%s) ESCAPE '\'", part)


def _newest(rows: QuerySet[Any], window: int, condition: str, value: str) -> QuerySet[Job]:
    """The jobs of those of the newest rows that meet the condition: a walk along an index that ends with the window.

    The ORM has no filter behind a limit, and of `id IN (… LIMIT n)` PostgreSQL makes a scan of the whole table.
    """
    newest, params = rows[:window].query.get_compiler(rows.db).as_sql()
    found = RawSQL(f"SELECT id FROM ({newest}) AS newest WHERE {condition}", [*params, value])
    return Job.objects.using(rows.db).filter(pk__in=found).order_by("-pk")
