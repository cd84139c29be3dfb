"""Pages by key: no OFFSET, and no count of the whole table."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest

from .counts import Capped, capped_count

BEFORE, AFTER = "before", "after"
#: So many rows are read and put in order here.
FEW = 500

Key = tuple[Any, ...]


class KeysetChangeList(ChangeList):
    """In the order of the admin's `page_key`; `?before=KEY` shows the next page, `?after=KEY` the one above.

    `?after=` with nothing behind it shows the last page. KEY is the primary key, with the column's value in front where
    the rows are ordered by another one. Newest first, unless the admin says otherwise.
    """

    model_admin: Any  # a KeysetAdmin
    result_label: str
    older_link: str | None
    newer_link: str | None
    newest_link: str | None
    oldest_link: str | None
    _few: list[Key] | None

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The address without the page's edges."""
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (BEFORE, AFTER)}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str | Combinable]:
        """By key alone: an index has this order, and none has another."""
        return list(self._order(upwards=False))

    def get_results(self, request: HttpRequest) -> None:
        """Read one page and one row more, which tells whether there is another."""
        last = self.params.get(AFTER) == ""
        before, after = self._edge(BEFORE), self._edge(AFTER)
        # a link to another filter begins at its newest page
        for name in (BEFORE, AFTER):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        size = self.list_per_page
        self._few = self._read_few()
        newer = older = False
        rows: list[Any] = []
        if last or after is not None:
            rows = self._read(request, after, size + 1, upwards=True)
            newer, older = len(rows) > size, not last
            rows = rows[:size][::-1]
        if not newer:
            # what is left above is less than a page: show the newest page whole
            edge = None if last else before
            rows = self._read(request, edge, size + 1, upwards=False)
            newer, older = edge is not None, len(rows) > size
            rows = rows[:size]
        count = self.count(request) if self._few is None else Capped(len(self._few))
        self.multi_page = newer or older
        across = self.model_admin.acts_on_all
        # Django's template offers "select all" where the result is longer than the page
        self.result_count = count.number if across else len(rows)
        self.result_label = str(count)
        self.result_list = rows
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = False
        self.paginator = Paginator(rows, size)
        self.newer_link = self.get_query_string({AFTER: self._key_text(rows[0])}) if rows and newer else None
        self.older_link = self.get_query_string({BEFORE: self._key_text(rows[-1])}) if rows and older else None
        self.newest_link = self.get_query_string() if newer else None
        self.oldest_link = self.get_query_string({AFTER: ""}) if older else None

    def count(self, request: HttpRequest) -> Capped:
        """How many rows the list has, up to the cap."""
        return capped_count(self.queryset)

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Parts of the rows that together are all of them, each of which an index has in order."""
        parts: Sequence[QuerySet[Any]] = self.model_admin.streams(request, rows)
        return parts

    @property
    def _columns(self) -> tuple[str, ...]:
        key: tuple[str, ...] = self.model_admin.page_key
        return key

    def _order(self, *, upwards: bool) -> list[str]:
        descending = self.model_admin.newest_first != upwards
        return [f"{'-' if descending else ''}{name}" for name in self._columns]

    def _read_few(self) -> list[Key] | None:
        """The keys of all rows in the list's order, if they are few; else None.

        In the order of an index a database may walk over a whole table to find the few that a filter leaves.
        """
        if not self.model_admin.newest_first:
            return None  # names: only the database knows their order
        keys = list(self.queryset.order_by().values_list(*self._columns)[: FEW + 1])
        return sorted(keys, reverse=True) if len(keys) <= FEW else None

    def _read(self, request: HttpRequest, edge: Key | None, limit: int, *, upwards: bool) -> list[Any]:
        if self._few is not None:
            beyond = [key for key in self._few if edge is None or (key > edge if upwards else key < edge)]
            return self._fetch(beyond[-limit:] if upwards else beyond[:limit], upwards=upwards)
        rows = self.queryset if edge is None else self.queryset.filter(self._beyond(edge, upwards=upwards))
        order = self._order(upwards=upwards)
        streams = self.streams(request, rows)
        if len(streams) == 1:
            return list(streams[0].order_by(*order)[:limit])
        keys = [stream.order_by(*order).values_list(*self._columns)[:limit] for stream in streams]
        merged = heapq.merge(*keys, reverse=order[0].startswith("-"))
        return self._fetch(islice(merged, limit), upwards=upwards)

    def _fetch(self, keys: Iterable[Key], *, upwards: bool) -> list[Any]:
        chosen = self.root_queryset.filter(pk__in=[key[-1] for key in keys])
        return list(self.apply_select_related(chosen).order_by(*self._order(upwards=upwards)))

    def _beyond(self, edge: Key, *, upwards: bool) -> Q:
        """What comes after the edge, in words that begin with the index's first column alone."""
        sign = "gt" if self.model_admin.newest_first == upwards else "lt"
        beyond = Q(**{f"pk__{sign}": edge[-1]})
        for name, value in zip(self._columns[:-1], edge[:-1], strict=True):
            beyond = Q(**{f"{name}__{sign}e": value}) & (Q(**{f"{name}__{sign}": value}) | beyond)
        return beyond

    def _edge(self, name: str) -> Key | None:
        given = self.params.get(name)
        if not given:
            return None
        texts = given.rsplit("~", len(self._columns) - 1)
        try:
            if len(texts) != len(self._columns):
                raise ValidationError(f"{name}={given!r}: expected {'~'.join(self._columns)}")
            return tuple(self._field(column).to_python(text) for column, text in zip(self._columns, texts, strict=True))
        except ValidationError as error:
            raise IncorrectLookupParameters(error) from error

    def _key_text(self, row: Any) -> str:
        return "~".join(self._field(column).value_to_string(row) for column in self._columns)

    def _field(self, column: str) -> Any:
        options = self.model._meta
        return options.pk if column == "pk" else options.get_field(column)
