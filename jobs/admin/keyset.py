"""The job list's pages: one queue's jobs have no index in order of time, but each of its states has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import ngettext

from admin_lists.changelist import KeysetChangeList
from admin_lists.counts import CAP, Capped, capped_count
from admin_lists.search import FOUND

from ..history import lookup
from ..history.lateness import history_note
from .query_box import Box, box_of, offered, parts
from .sight import sees_all


class JobChangeList(KeysetChangeList):
    """Newest first, as the jobs are now."""

    history_note: str
    box: Box
    offered: dict[str, Any]
    without_query: str

    def get_results(self, request: HttpRequest) -> None:
        """Where the rows are not the queue, live jobs are shown as their broker knows them."""
        super().get_results(request)
        self.box, self.offered = box_of(request), offered()
        self.without_query = self.get_query_string(remove=["q"])
        if self.box.found is not None and not self.box.found.is_whole and self.result_count >= FOUND:
            self.result_label = str(Capped(self.result_count, more=True))
        rows = self.result_list
        self.result_list = lookup.as_they_read(rows, self.params.get("state") or self.box.query.state)
        notes = [history_note()]
        if moved := len(rows) - len(self.result_list):
            text = ngettext(
                "%(count)d job of this page has moved on since its row was written, and is left out.",
                "%(count)d jobs of this page have moved on since their rows were written, and are left out.",
                moved,
            )
            notes.append(text % {"count": moved})
        self.history_note = " ".join(note for note in notes if note)

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Of a whole queue, its states; else what the admin says."""
        found = parts(request, rows) if sees_all(request) and not box_of(request).query.is_looked_for else [rows]
        return found if len(found) > 1 else super().streams(request, rows)

    def count(self, request: HttpRequest) -> Capped:
        """Of a whole queue, the sum over its states, as far as the cap."""
        number = 0
        for rows in self.streams(request, self.queryset):
            count = capped_count(rows, CAP - number)
            number += count.number
            if count.more:
                return Capped(CAP, more=True)
        return Capped(number)
