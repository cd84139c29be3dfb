"""What all rules share: their options, and how ticks are looked for among those that are past."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from ..errors import InvalidPolicy
from ..policy import ONE_DAY

MISSED = ("once", "skip", "all")
OVERLAP = ("allow", "skip", "wait")
SECOND = timedelta(seconds=1)
#: How many missed ticks `missed="all"` makes up for, the newest.
MOST_MISSED = 100
MOST_COUNT = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """Times at which a task is enqueued; aware, in UTC, in whole seconds.

    `missed` says what becomes of ticks at which no keeper ran: one job for the last of them (`once`), none (`skip`),
    one for each, the newest 100 at most (`all`). `overlap` says what becomes of a tick while the job of the one before
    it lives: a job in any case (`allow`), none (`skip`), or one after that has ended, however many ticks that takes
    (`wait`). `jitter` starts each job by up to so many seconds later, by chance. No tick lies before `start` or after
    `end`, and there are at most `count`. Raises `InvalidPolicy`.
    """

    missed: str = "once"
    overlap: str = "allow"
    jitter: float = 0
    start: datetime | None = None
    end: datetime | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        _one_of(self._name, "missed", self.missed, MISSED)
        _one_of(self._name, "overlap", self.overlap, OVERLAP)
        if not _is_number(self.jitter) or not 0 <= self.jitter <= ONE_DAY:
            raise InvalidPolicy(f"{self._name}(jitter={self.jitter!r}): expected seconds, from 0 to a day")
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, datetime) or value.utcoffset() is None):
                raise InvalidPolicy(f"{self._name}({name}={value!r}): expected an aware datetime (with a time zone)")
        if self.start and self.end and self.end < self.start:
            raise InvalidPolicy(f"{self._name}(end={self.end.isoformat()}): it lies before start")
        if self.count is not None and (
            not isinstance(self.count, int) or isinstance(self.count, bool) or not 1 <= self.count <= MOST_COUNT
        ):
            raise InvalidPolicy(f"{self._name}(count={self.count!r}): expected a whole number of at least 1")

    @property
    @abstractmethod
    def spelling(self) -> str:
        """The rule in the fewest letters; tells it from the others of one task."""

    def after(self, moment: datetime, until: datetime | None = None) -> datetime | None:
        """The first tick later than `moment`; None if there is none any more.

        A rule that can only be asked minute by minute stops at `until`.
        """
        first = self._first_second
        if first is not None and moment < first:
            moment = first - SECOND
        try:
            found = self._after(moment.astimezone(UTC), until)
        except OverflowError:  # the year 10,000
            return None
        return None if found is None or (self.end is not None and found > self.end) else found

    def latest(self, since: datetime, until: datetime) -> datetime | None:
        """The last tick later than `since` and not later than `until`; found by halving, however many there are."""
        if not self._has_tick(since, until):
            return None
        low, high = 0, math.ceil((until - since).total_seconds())  # of a tick after low it is known that it is there
        while high - low > 1:
            middle = (low + high) // 2
            if self._has_tick(since + middle * SECOND, until):
                low = middle
            else:
                high = middle
        return self.after(since + low * SECOND, until)

    def due(self, since: datetime, until: datetime, most: int) -> list[datetime]:
        """The newest `most` ticks later than `since` and not later than `until`, in their order."""
        found: list[datetime] = []
        tick = self.after(since, until)
        while tick is not None and tick <= until:
            found.append(tick)
            if len(found) > most:
                return self._newest(since, until, most)
            tick = self.after(tick, until)
        return found

    def next(self, since: datetime, number: int) -> list[datetime]:
        """The next ticks later than `since`, at most so many."""
        found: list[datetime] = []
        while len(found) < number and (tick := self.after(since)) is not None:
            found.append(tick)
            since = tick
        return found

    def wake(self, moment: datetime) -> datetime | None:
        """When to look for a tick again, that none later than `moment` is missed; None: never."""
        return self.after(moment)

    @abstractmethod
    def _after(self, moment: datetime, until: datetime | None) -> datetime | None:
        """The first tick later than `moment`, whatever `start` and `end` say."""

    def _newest(self, since: datetime, until: datetime, most: int) -> list[datetime]:
        found: list[datetime] = []
        while len(found) < most and (tick := self.latest(since, until)) is not None:
            found.append(tick)
            until = tick - SECOND
        return found[::-1]

    def _has_tick(self, since: datetime, until: datetime) -> bool:
        tick = self.after(since, until)
        return tick is not None and tick <= until

    @cached_property
    def _first_second(self) -> datetime | None:
        """The first whole second that is not before `start`."""
        if self.start is None:
            return None
        start = self.start.astimezone(UTC)
        return start if not start.microsecond else start.replace(microsecond=0) + SECOND

    @property
    def _name(self) -> str:
        return type(self).__name__


def _one_of(rule: str, name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidPolicy(f"{rule}({name}={value!r}): expected one of {', '.join(map(repr, known))}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
