"""Pages by primary key: no OFFSET, and no count of the whole table."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest

from .. import lookup
from ..states import State

BEFORE, AFTER = "before", "after"


class KeysetChangeList(ChangeList):
    """Newest first; `?before=<pk>` shows the next older page, `?after=<pk>` the next newer one."""

    result_label: str
    older_link: str | None
    newer_link: str | None
    newest_link: str | None

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The address without the page's edges."""
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (BEFORE, AFTER)}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str | Combinable]:
        """By key alone: it is the order of time."""
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        """Read one page and one row more, which tells whether there is another."""
        before, after = self._edge(BEFORE), self._edge(AFTER)
        # a link to another filter begins at its newest page
        for name in (BEFORE, AFTER):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        size = self.list_per_page
        newer = older = False
        rows: list[Any] = []
        if after is not None:
            rows = self._read(self.queryset.filter(pk__gt=after), size + 1, newest_first=False)
            newer, older = len(rows) > size, True
            rows = rows[:size][::-1]
        if not newer:
            # what is left above is less than a page: show the newest page whole
            edge = self.queryset if before is None else self.queryset.filter(pk__lt=before)
            rows = self._read(edge, size + 1, newest_first=True)
            newer, older = before is not None, len(rows) > size
            rows = rows[:size]
        count = lookup.capped_count(self.queryset)
        self.result_count = count.number
        self.result_label = str(count)
        self.result_list = rows
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = newer or older
        self.paginator = Paginator(rows, size)
        self.newer_link = self.get_query_string({AFTER: rows[0].pk}) if rows and newer else None
        self.older_link = self.get_query_string({BEFORE: rows[-1].pk}) if rows and older else None
        self.newest_link = self.get_query_string() if newer else None

    def _edge(self, name: str) -> Any:
        given = self.params.get(name)
        if given is None:
            return None
        try:
            return self.model._meta.pk.to_python(given)
        except ValidationError as error:
            raise IncorrectLookupParameters(error) from error

    def _read(self, rows: QuerySet[Any], limit: int, *, newest_first: bool) -> list[Any]:
        order = "-pk" if newest_first else "pk"
        if not self._is_whole_queue():
            return list(rows.order_by(order)[:limit])
        # no index has one queue's rows in order of time; (queue, state, id) has them for each state
        streams = [rows.filter(state=state).order_by(order).values_list("pk", flat=True)[:limit] for state in State]
        ids = list(islice(heapq.merge(*streams, reverse=newest_first), limit))
        return list(rows.filter(pk__in=ids).order_by(order))

    def _is_whole_queue(self) -> bool:
        return bool(self.params.get("queue")) and set(self.params) <= {"queue", "since"}
