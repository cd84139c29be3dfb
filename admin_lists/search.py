"""Searches that an index answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Q, QuerySet

#: At most so many rows are found by one search.
FOUND = 500


def found(rows: QuerySet[Any], looks: Iterable[QuerySet[Any]]) -> QuerySet[Any]:
    """The rows that the looks bring, at most `FOUND`; a look is not begun once there are enough."""
    ids: set[Any] = set()
    for look in looks:
        ids.update(look.values_list("pk", flat=True)[:FOUND])
        if len(ids) >= FOUND:
            break
    return rows.filter(pk__in=sorted(ids, reverse=True)[:FOUND])


def looks(
    rows: QuerySet[Any], text: str, *, ids: Sequence[str], exact: Sequence[str], beginnings: Sequence[str]
) -> Iterator[QuerySet[Any]]:
    """Where to look for a text: a whole id in the columns `ids`; else the text itself, or what begins with it.

    The columns of `exact` and `beginnings` hold small letters, or what people write exactly as it stands there; or
    their field says, by a method `searched(text)`, how it holds a text.
    """
    if "\x00" in text:  # no column holds it, and PostgreSQL refuses to look
        return
    rows = rows.order_by()
    whole = as_uuid(text)
    if whole is not None:
        for column in ids:
            yield rows.filter(**{column: whole})
        return
    for column in exact:
        yield rows.filter(**{f"{column}__in": sorted({text, text.lower()})})
    for column in beginnings:
        as_held = getattr(rows.model._meta.get_field(column), "searched", str.lower)
        yield rows.filter(begins_with(rows.db, column, as_held(text)))


def begins_with(database: str, column: str, text: str) -> Q:
    """The rows whose column begins with exactly this text, in words that each database answers by an index."""
    if connections[database].vendor == "sqlite":
        # SQLite's LIKE takes no index; its order of texts is that of their code points
        return Q(**{f"{column}__gte": text, f"{column}__lt": text + "\U0010ffff"})
    return Q(**{f"{column}__startswith": text})


def as_uuid(text: str) -> UUID | None:
    """The UUID that the text writes, with or without hyphens; None if it writes none."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None
