"""The job list's pages: one queue's jobs have no index in order of time, but each of its states has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from admin_lists.changelist import KeysetChangeList

from ..states import State


class JobChangeList(KeysetChangeList):
    """Newest first."""

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Of a whole queue, its states."""
        if self.params.get("queue") and set(self.params) <= {"queue", "since"}:
            return [rows.filter(state=state) for state in State]
        return [rows]
