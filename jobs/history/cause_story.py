"""What is told of one cause of dead letters beside its counts: its trend by day, what was tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connections

from .. import clock
from ..broker.database import causes as store
from ..conf import jobs_settings
from ..states import State
from . import lookup
from .causes import MOST_OF_TREND, of_cause
from .plans import by_index

#: Days of the trend, each 24 hours, the last one up to now.
DAYS = 30
#: So many of the latest jobs of the task, and of the cause's latest dead letters, are looked at for what was tried.
LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of retries of the cause's dead letters, as far as the latest jobs tell.

    `again`: dead letters that were retried and failed again; `others`: by state, jobs that were dead letters of this
    cause and are none any more. `looked_at`: at so many jobs of the task at most.
    """

    again: int
    others: Mapping[str, int]
    looked_at: int = LOOKED_AT

    @property
    def number(self) -> int:
        """How many there are of both."""
        return self.again + sum(self.others.values())


def days_of(cause: str, scopes: Sequence[str] | None = None) -> tuple[int, ...]:
    """How many of the cause's dead letters ended in each of the last 30 days, the present one last."""
    alias, now = jobs_settings().database, clock.now()
    since = now - timedelta(days=DAYS)
    with by_index(alias):
        ago = store.count_hours(connections[alias], cause, since, now, MOST_OF_TREND, scopes)
    days = Counter[int]()
    for hours, number in ago.items():
        days[max(0, int(hours)) // 24] += number
    return tuple(days[day] for day in reversed(range(DAYS)))


def tried(cause: str, task: str, scopes: Sequence[str] | None = None) -> Tried:
    """What is known of retries of this cause's dead letters."""
    alias = jobs_settings().database
    with by_index(alias):
        runs = of_cause(cause, scopes).order_by("-ended_at", "-id").values_list("run", flat=True)[:LOOKED_AT]
        again = sum(run > 1 for run in runs)
        latest = lookup.all_jobs().filter(task=task).order_by("-pk").values_list("cause", "state", "scope")[:LOOKED_AT]
        others = Counter(
            state
            for one, state, scope in latest
            if one == cause and state != State.FAILED and (scopes is None or scope in scopes)
        )
    return Tried(again, dict(others))
