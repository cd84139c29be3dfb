"""The admin's lists page by key: see `admin_lists.pages`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest
from django.utils.text import capfirst

from .counts import Capped, capped_count
from .pages import AFTER, BEFORE, Key, Order, read_page


class KeysetChangeList(ChangeList):
    """In the order of the admin's `page_key`; `?before=KEY` shows the next page, `?after=KEY` the one above.

    `?after=` with nothing behind it shows the last page. KEY is the primary key, with the column's value in front where
    the rows are ordered by another one. Newest first, unless the admin says otherwise.
    """

    model_admin: Any  # a KeysetAdmin
    empty_text: str
    number_columns: frozenset[str]
    result_label: str
    older_link: str | None
    newer_link: str | None
    newest_link: str | None
    oldest_link: str | None

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        if not self.is_popup:
            self.title = str(capfirst(self.opts.verbose_name_plural))
        self.empty_text = self.model_admin.get_empty_text(request)
        self.number_columns = self.model_admin.number_columns()

    @property
    def narrowed(self) -> bool:
        """Whether a search or a filter leaves rows out."""
        return bool(self.query or self.get_filters_params())

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The address without the page's edges."""
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (BEFORE, AFTER)}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str | Combinable]:
        """By key alone: an index has this order, and none has another."""
        return list(self._in_order.names())

    def get_results(self, request: HttpRequest) -> None:
        """Read one page and one row more, which tells whether there is another."""
        last = self.params.get(AFTER) == ""
        before, after = self._edge(BEFORE), self._edge(AFTER)
        # a link to another filter begins at its newest page
        for name in (BEFORE, AFTER):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        page = read_page(
            self.queryset,
            self._in_order,
            self.list_per_page,
            before=before,
            after=after,
            last=last,
            streams=lambda rows: self.streams(request, rows),
            fetch=self.apply_select_related,
            of=self.root_queryset,
        )
        rows = page.rows
        count = self.count(request) if page.count is None else page.count
        self.multi_page = page.newer or page.older
        across = self.model_admin.acts_on_all
        # Django's template offers "select all" where the result is longer than the page
        self.result_count = count.number if across else len(rows)
        self.result_label = str(count)
        self.result_list = rows
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = False
        self.paginator = Paginator(rows, self.list_per_page)
        key_text = self._in_order.key_text
        self.newer_link = self.get_query_string({AFTER: key_text(rows[0])}) if rows and page.newer else None
        self.older_link = self.get_query_string({BEFORE: key_text(rows[-1])}) if rows and page.older else None
        self.newest_link = self.get_query_string() if page.newer else None
        self.oldest_link = self.get_query_string({AFTER: ""}) if page.older else None

    def count(self, request: HttpRequest) -> Capped:
        """How many rows the list has, up to the cap."""
        return capped_count(self.queryset)

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Parts of the rows that together are all of them, each of which an index has in order."""
        parts: Sequence[QuerySet[Any]] = self.model_admin.streams(request, rows)
        return parts

    @property
    def _in_order(self) -> Order:
        return Order(self.model, self.model_admin.page_key, self.model_admin.newest_first)

    def _edge(self, name: str) -> Key | None:
        given = self.params.get(name)
        if not given:
            return None
        try:
            return self._in_order.key(given)
        except ValidationError as error:
            raise IncorrectLookupParameters(error) from error
