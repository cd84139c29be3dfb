"""How starts of jobs ended, one event each, for other processes to follow and to go on from after a break.

The rows of attempts are the events, on every broker; an event's id is its row's. PostgreSQL gives ids before their
transactions commit, so that a lower one may come later than a higher: nothing is told beyond an id to which somebody
may still commit. SQLite has one writer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connections
from django.db.models import Max
from django.utils.translation import gettext as _

from .. import clock
from ..broker.database.statements import load_statements
from ..conf import jobs_settings
from ..connections import opened_by_caller
from ..errors import InvalidOption, Refused
from ..models import Attempt
from .lookup import mask_of
from .targets import HasName, name_of

#: Seconds between two looks.
LOOK_EVERY = 0.25
#: Rows of one read; with their arguments, which the errors' masks need, they take some megabytes at most.
PAGE = 200
#: Seconds for which transactions under way are waited for, where no further event is.
PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class JobEvent:
    """How one start of a job ended.

    `outcome` is completed, failed, postponed, handed_back, lost, interrupted or cancelled; `state` how the job reads
    when the event is read: after a failure *retrying* or *failed*, a dead letter. `attempt` is None where the start
    burnt none. Personal arguments are masked in `error`.
    """

    id: int
    outcome: str
    job_id: UUID
    queue: str
    task: str
    run: int
    attempt: int | None
    state: str
    worker: str
    claimed_at: datetime | None
    started_at: datetime | None
    ended_at: datetime
    error: str


def job_events(
    since: int | None,
    *,
    queue: HasName | str | None = None,
    task: HasName | str | None = None,
    wait: float | None = 0.0,
) -> Iterator[JobEvent]:
    """The events behind the one with the id `since`, in their order; 0: all that the history holds, None: from now on.

    Only those of a queue, or of a task. `wait` is for how many seconds a further event is waited for, None for ever;
    by default the events that are there end it. Whoever keeps the last id that it has dealt with goes on with it after
    any break: no event is left out or told twice, but what retention has removed meanwhile is told no more. Raises
    `InvalidOption`, `UnknownQueue`, and `Refused` inside a transaction.
    """
    if since is not None and (not isinstance(since, int) or isinstance(since, bool) or since < 0):
        raise InvalidOption(f"since={since!r}: expected the id of an event, 0 for all, or None for those to come")
    if wait is not None and wait < 0:
        raise InvalidOption(f"wait={wait!r}: expected seconds, or None to wait for ever")
    alias = jobs_settings().database
    if opened_by_caller(connections[alias]):
        raise Refused(_("a transaction may not see all events: ask for them outside it"))
    wanted = {}
    if queue is not None:
        wanted["job__queue"] = name_of(queue)
    if task is not None:
        wanted["job__task"] = str(getattr(task, "name", task))
    decided = _Decided(alias)
    newest = decided.newest()
    return _follow(decided, newest if since is None else since, newest, wanted, wait)


class _Decided:
    """Up to which id every event is committed, or never will be."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._vendor = connections[alias].vendor
        self._upto = 0
        self._open: tuple[int, frozenset[str]] | None = None

    def newest(self) -> int:
        """The highest id that is committed."""
        return Attempt.objects.using(self.alias).aggregate(newest=Max("pk"))["newest"] or 0

    def look(self) -> int:
        """The highest decided id, as far as is known now: whoever wrote when `newest` was read has ended since."""
        newest = self.newest()
        # after that: who took a lower id and has not committed it holds the table's lock now
        writers = self._writers()
        if not writers:
            self._upto, self._open = newest, None
            return newest
        if self._open is not None:
            then, before = self._open
            if left := before & writers:
                self._open = then, left
                return self._upto
            self._upto = then
        self._open = newest, writers
        return self._upto

    def _writers(self) -> frozenset[str]:
        if self._vendor != "postgresql":
            return frozenset()
        with connections[self.alias].cursor() as cursor:
            cursor.execute(load_statements("postgresql")["read_attempt_writers"])
            return frozenset(name for (name,) in cursor.fetchall())


def _follow(
    decided: _Decided, position: int, goal: int, wanted: dict[str, str], wait: float | None
) -> Iterator[JobEvent]:
    began = told_at = clock.monotonic()
    while True:
        upto = decided.look()
        while position < upto:
            boundary = _end_of_page(decided.alias, position, upto)
            for attempt in _page(decided.alias, position, boundary, wanted):
                yield _event(attempt)
                told_at = clock.monotonic()
            position = boundary
        now = clock.monotonic()
        if wait is not None and now - told_at >= wait and (upto >= goal or now - began >= wait + PATIENCE):
            return
        time.sleep(LOOK_EVERY)


def _end_of_page(alias: str, position: int, upto: int) -> int:
    """The id of the last row of the next page, whatever its queue and task: each look has an end."""
    ids = Attempt.objects.using(alias).filter(pk__gt=position, pk__lte=upto).order_by("pk").values_list("pk", flat=True)
    return next(iter(ids[PAGE - 1 : PAGE]), upto)


def _page(alias: str, position: int, boundary: int, wanted: dict[str, str]) -> list[Attempt]:
    rows = Attempt.objects.using(alias).filter(pk__gt=position, pk__lte=boundary, **wanted).select_related("job")
    return list(rows.defer("traceback", "job__result", "job__error").order_by("pk"))


def _event(attempt: Attempt) -> JobEvent:
    job = attempt.job
    return JobEvent(
        id=attempt.pk,
        outcome=attempt.outcome,
        job_id=job.pk,
        queue=job.queue,
        task=job.task,
        run=attempt.run,
        attempt=attempt.number,
        state=job.shown_state(),
        worker=attempt.worker,
        claimed_at=attempt.claimed_at,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        error=mask_of(job)(attempt.error) if attempt.error else "",
    )
