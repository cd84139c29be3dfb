"""Lists of rows that belong to somebody: those of a few owners, each of whom an index has in the list's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

#: A list is put together from so many owners' own; from more on it is quicker to walk over everybody's.
FEW = 50


def rows_of(rows: QuerySet[Any], path: str, owners: Sequence[Any]) -> QuerySet[Any]:
    """The rows that belong to one of the owners; `path` leads from a row to its own."""
    return rows.filter(**({path: owners[0]} if len(owners) == 1 else {f"{path}__in": owners}))


def streams_of(rows: QuerySet[Any], path: str, owners: Sequence[Any]) -> list[QuerySet[Any]]:
    """Each owner's rows, for `KeysetAdmin.streams`; all together if there is one owner, or are more than a few."""
    return [rows_of(rows, path, [owner]) for owner in owners] if 1 < len(owners) <= FEW else [rows]
