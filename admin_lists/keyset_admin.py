"""The admin of a model whose table grows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_noop

from .changelist import KeysetChangeList
from .columns import NOTHING, as_column, is_number, state_mark
from .counts import CappedPaginator
from .deletion import Deleted, what_goes
from .marks import Mark
from .search import found, looks

#: Said by Django 6.1 where nothing is chosen; its own Portuguese does not know it yet.
NOTHING_CHOSEN = gettext_noop("- Select an option -")


class KeysetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """50 rows a page, in the one order that an index has; nothing on its pages reads or counts the whole table."""

    change_list_template = "admin/admin_lists/change_list.html"
    list_per_page = 50
    empty_value_display = NOTHING
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()
    paginator = CappedPaginator
    #: The columns that the list is ordered by, not NULL, the last one `pk`; the highest first, or the lowest.
    page_key: tuple[str, ...] = ("pk",)
    newest_first = True
    #: Whether an action can be asked to work on all rows of the list and not only on those that are ticked.
    acts_on_all = False
    #: Where the search box looks, by index: for a whole id; for the text as it stands; for what begins with it.
    search_ids: tuple[str, ...] = ()
    search_exact: tuple[str, ...] = ()
    search_beginnings: tuple[str, ...] = ()
    #: How the values of a state look, by the name of its field.
    marks: Mapping[str, Mapping[str, Mark]] = {}
    #: Computed columns that hold numbers; those of the model's own fields are known.
    numbers: tuple[str, ...] = ()
    #: Said in a list that is empty: what will stand there, and what makes it.
    empty_text: Any = ""
    #: Parameters of the address, beside the filters' own, that narrow the list down.
    allowed_lookups: frozenset[str] = frozenset()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list pages by key."""
        return KeysetChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns; a moment is told from now, and a state of `marks` is a coloured word."""
        return [as_column(self.model, name, self.marks) for name in super().get_list_display(request)]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """With the row's states beside its name, for a site whose `admin/base_site.html` shows `state_marks`."""
        row: Any = kwargs.get("obj")
        found = [] if row is None else [one for one in self.marks.items() if getattr(row, one[0]) in one[1]]
        context["state_marks"] = [state_mark(row, name, marks) for name, marks in found]
        return super().render_change_form(request, context, *args, **kwargs)

    def number_columns(self) -> frozenset[str]:
        """The columns whose numbers stand under one another."""
        return frozenset(self.numbers) | {str(name) for name in self.list_display if is_number(self.model, name)}

    def get_empty_text(self, request: HttpRequest) -> Any:
        """What an empty list says."""
        return self.empty_text

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Parts of the list's rows that together are all of them, each of which an index has in order."""
        return [rows]

    def get_search_fields(self, request: HttpRequest) -> list[str] | tuple[str, ...]:
        """Django shows the search box where there are some."""
        return self._searched() or super().get_search_fields(request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look where an index answers; a small table may have `search_fields` in Django's way."""
        text = search_term.strip()
        if not text or not self._searched():
            return super().get_search_results(request, queryset, text)
        return found(queryset, self.search_places(request, queryset, text)), False

    def search_places(self, request: HttpRequest, rows: QuerySet[Any], text: str) -> Iterator[QuerySet[Any]]:
        """The queries that a search makes, the cheapest first."""
        yield from looks(rows, text, ids=self.search_ids, exact=self.search_exact, beginnings=self.search_beginnings)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only the filters': a look-up of a visitor's own making would scan the table."""
        return lookup in self.allowed_lookups or lookup in self._filter_parameters()

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """An action works on what is ticked, whatever the browser says."""
        if not self.acts_on_all and request.POST.get("select_across", "0") != "0":
            request.POST = request.POST.copy()  # type: ignore[assignment]
            request.POST["select_across"] = "0"  # type: ignore[misc]
        return super().response_action(request, queryset, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Deleted:
        """See `admin_lists.deletion`."""
        return what_goes(objs, request, self.admin_site)

    def _searched(self) -> tuple[str, ...]:
        return (*self.search_ids, *self.search_exact, *self.search_beginnings)

    def _filter_parameters(self) -> set[str]:
        names: set[str] = set()
        filters: Any = self.list_filter
        for given in filters:
            if isinstance(given, type) and issubclass(given, admin.SimpleListFilter):
                names.add(str(given.parameter_name))
                continue
            field = given if isinstance(given, str) else given[0]
            names |= {f"{field}__exact", f"{field}__isnull", f"{field}__id__exact"}
        return names
