"""The job list's pages: one queue's jobs have no index in order of time, but each of its states has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from admin_lists.changelist import KeysetChangeList
from admin_lists.counts import CAP, Capped, capped_count

from ..states import State
from .sight import sees_all


class JobChangeList(KeysetChangeList):
    """Newest first."""

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Of a whole queue, its states; else what the admin says."""
        if self.params.get("queue") and set(self.params) <= {"queue", "since"} and sees_all(request):
            return [rows.filter(state=state) for state in State]
        return super().streams(request, rows)

    def count(self, request: HttpRequest) -> Capped:
        """Of a whole queue, the sum over its states, as far as the cap."""
        number = 0
        for rows in self.streams(request, self.queryset):
            count = capped_count(rows, CAP - number)
            number += count.number
            if count.more:
                return Capped(CAP, more=True)
        return Capped(number)
