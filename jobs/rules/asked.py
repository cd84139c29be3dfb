"""A function that is asked minute by minute, as Huey's `crontab` gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from .rule import Rule

MINUTE = timedelta(minutes=1)
#: How far back a missed tick is looked for, and how far ahead the next one.
LOOK_BACK, LOOK_AHEAD = timedelta(hours=24), timedelta(days=7)


@dataclass(frozen=True)
class Asked(Rule):
    """Ticks at the minutes for which `is_due` answers True; it is given the naive time of Django's `TIME_ZONE`.

    Each minute is asked for as it comes: nothing is asked for an hour that daylight saving skips, and one that comes
    twice is asked for twice. `Cron` knows better.
    """

    is_due: Callable[[datetime], bool]

    @property
    def spelling(self) -> str:
        """The rule in the fewest letters."""
        return "crontab"

    def wake(self, moment: datetime) -> datetime:
        """The next minute."""
        return moment.replace(second=0, microsecond=0) + MINUTE

    def latest(self, since: datetime, until: datetime) -> datetime | None:
        """The last tick later than `since` and not later than `until`, at most a day back."""
        minute = until.replace(second=0, microsecond=0)
        oldest = max(since, until - LOOK_BACK)
        while minute > oldest:
            if self._is_due_at(minute):
                return minute.astimezone(UTC)
            minute -= MINUTE
        return None

    def _after(self, moment: datetime, until: datetime | None) -> datetime | None:
        if until is None:
            until = moment + LOOK_AHEAD
        else:
            moment = max(moment, until - LOOK_BACK)
        minute = moment.replace(second=0, microsecond=0)
        while (minute := minute + MINUTE) <= until:
            if self._is_due_at(minute):
                return minute.astimezone(UTC)
        return None

    def _is_due_at(self, minute: datetime) -> bool:
        return self.is_due(minute.astimezone(timezone.get_default_timezone()).replace(tzinfo=None))
