"""Pages of a long list by key: no OFFSET, and nothing that reads or counts the whole table."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from .counts import Capped

BEFORE, AFTER = "before", "after"
#: So many rows are read and put in order here.
FEW = 500

Key = tuple[Any, ...]
Rows = QuerySet[Any]


@dataclass(frozen=True)
class Page:
    """One page's rows, whether there is something above and below it, and how many rows there are if they are few."""

    rows: list[Any]
    newer: bool
    older: bool
    count: Capped | None


@dataclass(frozen=True)
class Order:
    """The columns that a list is ordered by, not NULL, the last one `pk`; the highest first, or the lowest."""

    model: type[Model]
    columns: tuple[str, ...]
    newest_first: bool = True

    def names(self, *, upwards: bool = False) -> list[str]:
        """What `order_by` takes."""
        descending = self.newest_first != upwards
        return [f"{'-' if descending else ''}{name}" for name in self.columns]

    def key_text(self, row: Any) -> str:
        """The row's place, as an address holds it."""
        return "~".join(self._field(column).value_to_string(row) for column in self.columns)

    def key(self, text: str) -> Key:
        """The place that an address holds; raises `ValidationError` for what is none."""
        texts = text.rsplit("~", len(self.columns) - 1)
        if len(texts) != len(self.columns):
            raise ValidationError(f"{text!r}: expected {'~'.join(self.columns)}")
        return tuple(self._value(column, part) for column, part in zip(self.columns, texts, strict=True))

    def beyond(self, edge: Key, *, upwards: bool) -> Q:
        """What comes after the edge, in words that begin with the index's first column alone."""
        sign = "gt" if self.newest_first == upwards else "lt"
        beyond = Q(**{f"pk__{sign}": edge[-1]})
        for name, value in zip(self.columns[:-1], edge[:-1], strict=True):
            beyond = Q(**{f"{name}__{sign}e": value}) & (Q(**{f"{name}__{sign}": value}) | beyond)
        return beyond

    def _value(self, column: str, text: str) -> Any:
        value = self._field(column).to_python(text)
        if not isinstance(value, datetime):
            return value
        try:
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        except OverflowError:  # at the edge of the calendar, in a zone beyond it
            raise ValidationError(text) from None

    def _field(self, column: str) -> Any:
        options = self.model._meta
        return options.pk if column == "pk" else options.get_field(column)


def read_page(
    rows: Rows,
    order: Order,
    size: int,
    *,
    before: Key | None = None,
    after: Key | None = None,
    last: bool = False,
    streams: Callable[[Rows], Sequence[Rows]] = lambda rows: [rows],
    fetch: Callable[[Rows], Rows] = lambda rows: rows,
    of: Rows | None = None,
) -> Page:
    """The page below the key `before`, above `after`, the `last` one, or the first.

    `streams` parts the rows so that an index has each part in order. The page's rows are read by their keys from
    `of` (without it, from all of the model's), with what `fetch` adds to each.
    """
    reader = _Reader(
        rows,
        order,
        streams,
        lambda keys: fetch((rows.model._default_manager if of is None else of).filter(pk__in=keys)),
    )
    newer = older = False
    found: list[Any] = []
    if last or after is not None:
        found = reader.read(after, size + 1, upwards=True)
        newer, older = len(found) > size, not last
        found = found[:size][::-1]
    if not newer:
        # what is left above is less than a page: show the newest page whole
        edge = None if last else before
        found = reader.read(edge, size + 1, upwards=False)
        newer, older = edge is not None, len(found) > size
        found = found[:size]
    return Page(found, newer, older, None if reader.few is None else Capped(len(reader.few)))


class _Reader:
    def __init__(
        self,
        rows: Rows,
        order: Order,
        streams: Callable[[Rows], Sequence[Rows]],
        by_keys: Callable[[list[Any]], Rows],
    ) -> None:
        self.rows, self.order, self.streams, self.by_keys = rows, order, streams, by_keys
        self.few = self._read_few()

    def read(self, edge: Key | None, limit: int, *, upwards: bool) -> list[Any]:
        if self.few is not None:
            beyond = [key for key in self.few if edge is None or (key > edge if upwards else key < edge)]
            return self._fetch(beyond[-limit:] if upwards else beyond[:limit], upwards=upwards)
        rows = self.rows if edge is None else self.rows.filter(self.order.beyond(edge, upwards=upwards))
        names = self.order.names(upwards=upwards)
        # the keys alone: where a database sorts, it sorts no whole rows
        keys = [part.order_by(*names).values_list(*self.order.columns)[:limit] for part in self.streams(rows)]
        merged = keys[0] if len(keys) == 1 else heapq.merge(*keys, reverse=names[0].startswith("-"))
        return self._fetch(islice(merged, limit), upwards=upwards)

    def _read_few(self) -> list[Key] | None:
        """The keys of all rows in the list's order, if they are few; else None.

        In the order of an index a database may walk over a whole table to find the few that a filter leaves.
        """
        if not self.order.newest_first:
            return None  # names: only the database knows their order
        keys = list(self.rows.order_by().values_list(*self.order.columns)[: FEW + 1])
        return sorted(keys, reverse=True) if len(keys) <= FEW else None

    def _fetch(self, keys: Iterable[Key], *, upwards: bool) -> list[Any]:
        chosen = self.by_keys([key[-1] for key in keys])
        return list(chosen.order_by(*self.order.names(upwards=upwards)))
