"""What a query asks for: conditions on jobs.

What an index answers narrows a list down (`narrow`); what none does (`look`) is looked for among rows that are few, or
by an operation that goes through all of them. `jobs.history.find` does the first, `jobs.history.choice` the second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TypeVar
from uuid import UUID

from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.utils.translation import gettext as _

from ..defined import find_task, queues
from ..errors import InvalidOption, UnknownQueue, UnknownTask
from ..models import Job
from ..policy import HIGHEST_PRIORITY, LOWEST_PRIORITY, PRIORITY_STEP, stored_priority
from ..states import State
from . import lookup
from .targets import name_of

Value = TypeVar("Value")
#: Conditions on one column: how it compares, and with what.
Comparisons = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Query:
    """What was asked for; what is empty or None was not."""

    queue: str = ""
    task: str = ""
    state: str = ""
    group: str = ""
    scope: str = ""
    key: str = ""
    cause: str = ""
    about: str = ""
    event: UUID | None = None
    parent: UUID | None = None
    ids: tuple[UUID, UUID] | None = None
    since: datetime | None = None
    before: datetime | None = None
    tags: tuple[str, ...] = ()
    error: str = ""
    args: str = ""
    priority: Comparisons[int] = ()
    attempts: Comparisons[int] = ()
    ran: Comparisons[timedelta] = ()
    text: str = ""
    #: words before a colon that are no filter, and were taken for a part of the text
    unknown: tuple[str, ...] = field(default=(), compare=False)

    @property
    def names_one(self) -> bool:
        """Whether an index finds the few that are meant, whatever else is asked for."""
        return any((self.key, self.cause, self.about, self.event, self.parent, self.ids))

    @property
    def is_looked_for(self) -> bool:
        """Whether something is asked for that no index answers."""
        return bool(self.text or self.args or self._is_compared)

    @property
    def _is_compared(self) -> bool:
        return any((self.tags, self.error, self.priority, self.attempts, self.ran))

    def narrow(self, rows: QuerySet[Job], now: datetime) -> QuerySet[Job]:
        """Those of the rows that have what indexes answer; raises `InvalidOption`."""
        if self.queue:
            rows = rows.filter(queue=_queue_name(self.queue))
        rows = self._of_task(rows, now)
        if self.group:
            # the exclusions say to SQLite, which cannot conclude it, that a partial index holds every such row
            rows = rows.filter(group=self.group).exclude(group="")
        if self.scope:
            rows = rows.filter(scope=self.scope).exclude(scope="")
        if self.cause:
            rows = rows.filter(cause=self.cause, state=State.FAILED)
        if self.about:
            rows = _about(rows, self.about)
        if self.key:
            rows = lookup.with_key(rows, self.key)
        found = {"event_id": self.event, "parent_id": self.parent, "pk__range": self.ids}
        rows = rows.filter(**{name: value for name, value in found.items() if value})
        if self.since is not None:
            rows = lookup.created_since(rows, self.since)
        return rows if self.before is None else lookup.created_before(rows, self.before)

    def look(self, rows: QuerySet[Job]) -> QuerySet[Job]:
        """Those of the rows that have what no index answers, but for texts in arguments and anywhere."""
        for tag in self.tags:
            rows = lookup.tagged(rows, tag)
        if self.error:
            rows = rows.filter(error__icontains=self.error)
        for how, number in self.attempts:
            rows = rows.filter(**{f"attempts__{how}": number})
        for how, number in self.priority:
            half = PRIORITY_STEP // 2
            if how in ("lte", "exact") and number < LOWEST_PRIORITY:
                rows = rows.filter(stored_priority__gt=stored_priority(number) - half)
            if how in ("gte", "exact") and number > HIGHEST_PRIORITY:
                rows = rows.filter(stored_priority__lt=stored_priority(number) + half)
        if self.ran:
            took = ExpressionWrapper(F("ended_at") - F("started_at"), DurationField())
            rows = rows.alias(took=took).filter(**{f"took__{how}": length for how, length in self.ran})
        return rows

    def rows(self, rows: QuerySet[Job], now: datetime) -> QuerySet[Job]:
        """All of the rows that are meant, however long that takes; raises `InvalidOption` for a text anywhere."""
        if self.text or self.args:
            raise InvalidOption(
                _("%(what)s finds single jobs and names no filter: give words like error:%(what)s or task:NAME")
                % {"what": _quoted(self.text or self.args)}
            )
        return self.look(self.narrow(rows, now))

    def _of_task(self, rows: QuerySet[Job], now: datetime) -> QuerySet[Job]:
        task = _task_name(self.task) if self.task else ""
        if not self.state:
            return rows.filter(task=task) if task else rows
        if task and self.state == State.COMPLETED:
            # most of a task's jobs are: let the task's index lead
            return lookup.by_no_index(rows.filter(task=task), "state", self.state)
        rows = lookup.in_state(rows, self.state, now)
        # few jobs are in any other state: let its index lead
        return lookup.by_no_index(rows, "task", task) if task else rows


def _queue_name(value: str) -> str:
    try:
        return name_of(value)
    except UnknownQueue:
        text = _("queue:%(value)s: there is no such queue; queues are: %(names)s")
        raise InvalidOption(text % {"value": value, "names": ", ".join(sorted(queues()))}) from None


def _task_name(value: str) -> str:
    """The task's name, of a task that is given by the last part of it, or that only jobs know any more."""
    try:
        return find_task(value).name
    except UnknownTask:
        pass
    known = sorted({name for queue in queues().values() for name in queue.tasks})
    ending = [name for name in known if name.rpartition(".")[2] == value]
    if len(ending) == 1:
        return ending[0]
    if lookup.all_jobs().filter(task=value).exists():
        return value
    near = (
        ending or get_close_matches(value, known, n=3) or [name for name in known if value.lower() in name.lower()][:5]
    )
    if near:
        text = _("task:%(value)s: there is no such task; did you mean %(names)s?")
        raise InvalidOption(text % {"value": value, "names": ", ".join(near)})
    text = _("task:%(value)s: there is no such task; begin to type task: and choose one")
    raise InvalidOption(text % {"value": value})


def _about(rows: QuerySet[Job], value: str) -> QuerySet[Job]:
    label, _colon, key = value.partition(":")
    types = lookup.types_named(label)
    if not types or not key:
        names = ", ".join(sorted({f"{one.partition('.')[2]}:ID" for one in lookup.about_types()})) or "lead:ID"
        text = _("about:%(value)s: no job is about such an object; write one of: %(names)s")
        raise InvalidOption(text % {"value": value, "names": names})
    return lookup.about(rows, types, lookup.spellings_of(key))


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text
