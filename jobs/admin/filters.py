"""The list's filters: every choice is known to the code, so none of them asks the table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..defined import queues
from ..fingerprint import CAUSE
from ..history import lookup
from ..models import STATE_WORDS, AttemptOutcome
from ..states import State

WINDOWS = {
    "1h": (timedelta(hours=1), _("Last hour")),
    "24h": (timedelta(hours=24), _("Last 24 hours")),
    "7d": (timedelta(days=7), _("Last 7 days")),
}


class QueueFilter(admin.SimpleListFilter):
    """One queue."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The queues that the code defines, and the one asked for."""
        return _with_given(list(queues()), self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Also a queue that no code defines any more, by its address."""
        value = self.value()
        return queryset.filter(queue=value) if value else queryset


class TaskFilter(admin.SimpleListFilter):
    """One task; with a queue chosen, one of that queue."""

    title = _("task")
    parameter_name = "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The tasks that are registered, and the one asked for."""
        chosen = request.GET.get("queue")
        found = [name for queue in queues().values() if chosen in (None, "", queue.name) for name in queue.tasks]
        return _with_given(sorted(found), self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The jobs of the task."""
        value = self.value()
        if not value:
            return queryset
        if request.GET.get("state") in (None, "", State.COMPLETED):
            return queryset.filter(task=value)
        # few jobs are in any other state: let its index lead, and not the task's
        return lookup.by_no_index(queryset, "task", value)


class StateFilter(admin.SimpleListFilter):
    """One state, as shown."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The states that people read."""
        return [(state, STATE_WORDS[state]) for state in lookup.STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The jobs that read as this state at this moment."""
        value = self.value()
        if not value:
            return queryset
        if value == State.COMPLETED and request.GET.get("task"):
            # most of a task's jobs are: let the task's index lead
            return lookup.by_no_index(queryset, "state", value)
        try:
            return lookup.in_state(queryset, value)
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error


class CreatedFilter(admin.SimpleListFilter):
    """A window of time, cut by the id."""

    title = _("created")
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The windows."""
        return [(value, label) for value, (_length, label) in WINDOWS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The jobs made in the window."""
        if not self.value():
            return queryset
        window = WINDOWS.get(str(self.value()))
        if window is None:
            raise IncorrectLookupParameters(f"since={self.value()!r}: expected one of {', '.join(WINDOWS)}")
        return lookup.created_since(queryset, clock.now() - window[0])


class OutcomeFilter(admin.SimpleListFilter):
    """How an attempt ended; among the newest attempts only, since no index serves it."""

    title = _("outcome")
    parameter_name = "outcome"
    among = 100_000

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The outcomes."""
        return [(choice.value, choice.label) for choice in AttemptOutcome]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The attempts with the outcome."""
        value = self.value()
        if not value:
            return queryset
        newest = queryset.order_by("-pk").values_list("pk", flat=True).first() or 0
        return queryset.filter(pk__gt=newest - self.among, outcome=value)


class _GivenFilter(admin.SimpleListFilter):
    """Shown only while the address asks for it, so that it can be taken off again."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "")]

    def has_output(self) -> bool:
        return bool(self.value())

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        value = self.value() or ""
        yield {
            "selected": False,
            "query_string": changelist.get_query_string(remove=[str(self.parameter_name)]),
            "display": _("All"),
        }
        yield {"selected": True, "query_string": changelist.get_query_string(), "display": value}


class EventFilter(_GivenFilter):
    """The jobs that one event caused."""

    title = _("event")
    parameter_name = "event_id"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the event's id."""
        return queryset.filter(event_id=_uuid(self.value())) if self.value() else queryset


class ParentFilter(_GivenFilter):
    """The jobs that one job enqueued."""

    title = _("enqueued by job")
    parameter_name = "parent_id"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the parent's id."""
        return queryset.filter(parent_id=_uuid(self.value())) if self.value() else queryset


class CauseFilter(_GivenFilter):
    """The dead letters of one cause."""

    title = _("cause")
    parameter_name = "cause"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the cause, as the list of causes names it; of dead letters only, whose index leads."""
        value = self.value()
        if not value:
            return queryset
        # what is no cause finds nothing, and is never given to the database
        return queryset.filter(cause=value if CAUSE.match(value) else "-", state=State.FAILED)


class AboutFilter(_GivenFilter):
    """The jobs about one object: `?about=leads.lead:ID`."""

    title = _("about")
    parameter_name = "about"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the object's model label and primary key."""
        label, _colon, key = (self.value() or "").partition(":")
        return lookup.about(queryset, [label], [key]) if label else queryset


#: The filters of the list of jobs.
OF_JOBS = (
    *(QueueFilter, TaskFilter, StateFilter, CreatedFilter, EventFilter, ParentFilter),
    *(AboutFilter, CauseFilter),
)


def _with_given(names: list[str], given: str | None) -> list[tuple[str, str]]:
    """The choices; a name that no code defines any more stays one while the address asks for it."""
    return [(name, name) for name in [*names, *([given] if given and given not in names else [])]]


def _uuid(text: str | None) -> UUID:
    try:
        return UUID(text or "")
    except ValueError as error:
        raise IncorrectLookupParameters(error) from error
