"""Dead letters by cause: thousands of failures read as one line.

Nothing is counted when a job fails: an index holds the dead letters in the order of their causes. The causes are found
by a look-up each, however many dead letters they have, and what is counted of one stops at a cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from .. import clock
from ..broker import get_broker
from ..broker.database import causes as store
from ..conf import jobs_settings
from ..errors import UnknownCause
from ..fingerprint import CAUSE
from ..models import Cause, Job
from ..states import State
from . import live, lookup
from .plans import by_index
from .targets import HasName, name_of

#: So many causes are looked at, and told of unless another number is asked for.
MOST, TOLD = 1_000, 100
#: Hours of the trend, and how many of a cause's last dead letters it is made of.
HOURS, MOST_OF_TREND = 24, 10_000


@dataclass(frozen=True, slots=True)
class DeadCause:
    """The dead letters of one cause.

    `id` names the cause; `task`, `queue`, `error` and `last_release` are those of the last one, `newest`, the error
    without personal arguments. `count` stops at 10,000 (`more`). The first one ended at `first_at`; `first_release` is
    the release in which the cause was first seen, of any that retention has removed too. `hours` says how many ended in
    each of the last 24 hours, the present one last. Releases are empty where none is set.
    """

    id: str
    task: str
    queue: str
    error: str
    count: int
    more: bool
    first_at: datetime
    last_at: datetime
    first_release: str
    last_release: str
    hours: tuple[int, ...]
    newest: UUID


@dataclass(frozen=True, slots=True)
class Known:
    """A cause and its task."""

    id: str
    task: str


def dead_letters_by_cause(queue: HasName | str = "", limit: int = TOLD) -> list[DeadCause]:
    """The causes of dead letters, those first whose last one is the latest, at most `limit`; of a queue if it is given.

    Raises `UnknownQueue`.
    """
    live.hear([name_of(queue)] if queue != "" else None)
    only = name_of(queue) if queue != "" else ""
    found: list[DeadCause] = []
    with by_index(jobs_settings().database):
        for cause, _last in by_last():
            one = look(cause)
            if one is not None and only in ("", one.queue):
                found.append(one)
            if len(found) == limit:
                break
    return found


def by_last(most: int = MOST) -> list[tuple[str, datetime]]:
    """The causes with the end of the last dead letter of each, the latest first."""
    alias = jobs_settings().database
    with by_index(alias):
        return sorted(store.list_causes(connections[alias], "", most), key=lambda one: (one[1], one[0]), reverse=True)


def look(cause: str, scopes: Sequence[str] | None = None) -> DeadCause | None:
    """A cause as it is now, of the dead letters of these scopes; None where there are none."""
    alias, now = jobs_settings().database, clock.now()
    rows = of_cause(cause, scopes)
    with by_index(alias):
        newest = rows.defer("result").order_by("-ended_at", "-id").first()
        first = rows.order_by("ended_at", "id").values_list("ended_at", "release").first()
        if newest is None or first is None or newest.ended_at is None or first[0] is None:
            return None
        count = lookup.capped_count(rows)
        since = now - timedelta(hours=HOURS)
        ago = store.count_hours(connections[alias], cause, since, now, MOST_OF_TREND, scopes)
    kept = Cause.objects.using(alias).filter(pk=cause, first_at__lte=first[0]).values_list("first_release").first()
    return DeadCause(
        id=cause,
        task=newest.task,
        queue=newest.queue,
        error=lookup.mask_of(newest)(newest.error),
        count=count.number,
        more=count.more,
        first_at=first[0],
        last_at=newest.ended_at,
        first_release=kept[0] if kept else first[1],
        last_release=newest.release,
        hours=tuple(ago.get(hours, 0) for hours in reversed(range(HOURS))),
        newest=newest.pk,
    )


def check(cause: str) -> Known:
    """The cause, if a dead letter of it is or was known; hears of those first that the history does not know yet.

    Raises `UnknownCause`.
    """
    live.hear()
    task = None
    if CAUSE.match(cause):
        task = of_cause(cause).values_list("task", flat=True).first()
        if task is None:
            kept = Cause.objects.using(jobs_settings().database).filter(pk=cause)
            task = kept.values_list("task", flat=True).first()
    if task is None:
        text = _(
            "cause %(cause)s is not known: no dead letter has it; `manage.py jobs dead` lists those that are there"
        )
        raise UnknownCause(text % {"cause": cause})
    return Known(cause, task)


def dead_letters(scopes: Sequence[str] | None = None) -> QuerySet[Job]:
    """The dead letters, of these scopes if they are given."""
    rows = lookup.all_jobs().filter(state=State.FAILED)
    return rows if scopes is None else rows.filter(scope__in=scopes)


def of_cause(cause: str, scopes: Sequence[str] | None = None) -> QuerySet[Job]:
    """The dead letters of one cause."""
    return dead_letters(scopes).filter(cause=cause)


def ungrouped() -> QuerySet[Job]:
    """The dead letters whose cause a keeper has yet to find out: of an older version, or without a settle."""
    return of_cause("")


def lock(known: Known) -> datetime | None:
    """Hold the cause's row until the end of this transaction; returns up to when its retries are spread already."""
    rows, now = Cause.objects.using(jobs_settings().database), get_broker().now()
    # a write first: on SQLite who has read before cannot wait for the lock
    if not rows.filter(pk=known.id).update(seen_at=now):
        oldest = of_cause(known.id).order_by("ended_at", "id").values_list("ended_at", "release").first()
        first_at, release = oldest or (now, "")
        values = {"task": known.task, "first_at": first_at or now, "first_release": release, "seen_at": now}
        rows.get_or_create(pk=known.id, defaults=values)
    return rows.select_for_update().get(pk=known.id).paced_until


def note_pace(known: Known, until: datetime) -> None:
    """Write down up to when the retries of a cause are spread."""
    Cause.objects.using(jobs_settings().database).filter(pk=known.id).update(paced_until=until)
