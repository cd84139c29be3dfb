"""The jobs that somebody means, by what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from .. import clock
from ..define.labels import checked_group, checked_tag
from ..define.reference import is_storable
from ..defined import find_task
from ..errors import InvalidOption, UnknownTask
from ..models import Job
from ..states import Shown, State
from . import lookup
from .query import Query
from .query_text import parse
from .targets import HasName, name_of, task_name_of

#: What `older` may be at most.
OLDEST = timedelta(days=36_500)


@dataclass(frozen=True)
class JobFilter:
    """Jobs by what they have in common; what is left out is not asked for.

    `queue` and `task` themselves or their names; `state` as people read it (`scheduled`, `failed` …); `tag` one of the
    job's tags; `group` and `scope` whose it is; `older`: created at least so long ago; `query` the words of the admin's
    query box, but no free text: `"error:timeout ran:>5s"`. At least one of queue, task, tag, group, scope and query is
    given. Raises `InvalidOption`, `UnknownQueue` and `UnknownTask`.
    """

    queue: HasName | str = ""
    task: HasName | str = ""
    state: str = ""
    tag: str = ""
    group: str = ""
    scope: str = ""
    older: timedelta | None = None
    query: str = ""

    def __post_init__(self) -> None:
        if not any((self.queue, self.task, self.tag, self.group, self.scope, self.query)):
            raise InvalidOption("a filter names at least one of queue, task, tag, group, scope and query")
        if self.state and self.state not in lookup.STATES:
            raise InvalidOption(f"state {self.state!r} is not known; states are: {', '.join(lookup.STATES)}")
        if self.tag:
            checked_tag(self.tag)
        if self.group:
            checked_group(self.group)
        if not isinstance(self.scope, str) or not is_storable(self.scope, 100):
            raise InvalidOption(f"scope={self.scope!r}: expected a text")
        if self.older is not None and not (isinstance(self.older, timedelta) and timedelta(0) <= self.older <= OLDEST):
            raise InvalidOption(f"older={self.older!r}: expected a timedelta, not below 0")
        asked = self._asked(clock.now())
        if self.query and asked == Query():
            raise InvalidOption(f"query={self.query!r}: it asks for nothing, and would mean every job")
        if state := asked.state:
            if self.state:
                raise InvalidOption(f"state={self.state!r} and state:{state} in the query: give one of them")
            # what is done to many jobs asks for the state in which they read
            object.__setattr__(self, "state", state)

    def rows(self, now: datetime) -> QuerySet[Job]:
        """Their rows, as they are at `now`."""
        found = lookup.all_jobs()
        queue = name_of(self.queue) if self.queue else ""
        if queue:
            found = found.filter(queue=queue)
        if self.task:
            found = found.filter(task=_task_name(self.task, queue))
        if self.group:
            found = found.filter(group=self.group)
        if self.scope:
            found = found.filter(scope=self.scope)
        if self.tag:
            found = lookup.tagged(found, self.tag)
        if self.query:
            found = self._asked(now).rows(found, now)
        if self.older is not None:
            found = lookup.created_before(found, now - self.older)
        return found

    def _asked(self, now: datetime) -> Query:
        return parse(self.query, now)


def in_shown_state(rows: QuerySet[Job], state: str, now: datetime) -> QuerySet[Job]:
    """Those of the rows that read as in `state`; one that has started meanwhile is the broker's to refuse."""
    conditions = {
        Shown.SCHEDULED: Q(attempts=0, ready_at__gt=now),
        Shown.WAITING: Q(attempts=0, ready_at__lte=now),
        Shown.RETRYING: Q(attempts__gt=0),
    }
    if state == State.QUEUED:
        return rows.filter(state=State.QUEUED)
    if (condition := conditions.get(Shown(state))) is not None:
        return rows.filter(condition, state=State.QUEUED)
    # on Redis a start is no fact: the row of what runs says `queued`
    return lookup.in_state(rows, state, now)


def _task_name(task: HasName | str, queue: str) -> str:
    if queue:
        return task_name_of(task, queue)
    name = getattr(task, "name", task)
    if not isinstance(name, str):
        raise InvalidOption(f"task {task!r}: expected a task or its name")
    try:
        return find_task(name).name
    except UnknownTask:
        if not lookup.all_jobs().filter(task=name).exists():
            raise
        return name
