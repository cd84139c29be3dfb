"""A cron expression in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.utils import timezone as django_timezone

from ..errors import InvalidPolicy
from .rule import SECOND, Rule

MAX_EXPRESSION = 200
#: cron's own names for common expressions
NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_EVERY_HOUR = 24


@dataclass(frozen=True)
class Cron(Rule):
    """Ticks of a cron expression: `Cron("0 9 * * 1-5", timezone="America/Sao_Paulo")`.

    Five fields (minute, hour, day of the month, month, day of the week) or six with seconds before them; lists, ranges,
    steps, names (`MON`, `JAN`), `L` and `LW` (last day, last working day of the month), `5L` (last Friday), `MON#1`
    (first Monday), `@daily` and its like. `timezone` is a name of the IANA database; without one it is `TIME_ZONE` of
    Django's settings.

    Daylight saving: where an expression names hours, what falls into an hour that the clock skips ticks once, at the
    end of that hour; what falls into one that comes twice ticks the first time only. One for every hour (`*`) ticks by
    the time that passes: no hour is left out, none is counted twice.

    The options are those of `Rule`. Raises `InvalidPolicy`, also for an expression that never ticks (30 February).
    """

    expression: str
    timezone: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.expression, str) or not 0 < len(self.expression) <= MAX_EXPRESSION:
            raise InvalidPolicy(
                f"Cron({_short(self.expression)}): expected a cron expression of at most {MAX_EXPRESSION} letters, "
                "like '0 9 * * 1-5'"
            )
        if self.timezone is not None:
            zone_of(self.timezone)
        _check(self.expression)
        super().__post_init__()

    @property
    def spelling(self) -> str:
        """The rule in the fewest letters."""
        return self.expression if self.timezone is None else f"{self.expression} {self.timezone}"

    @cached_property
    def fields(self) -> str:
        """The expression's six fields, in capitals, with one space between."""
        return fields_of(self.expression)

    @property
    def zone(self) -> tzinfo:
        """The time zone in which the expression is read."""
        return django_timezone.get_default_timezone() if self.timezone is None else zone_of(self.timezone)

    def _after(self, moment: datetime, until: datetime | None) -> datetime | None:
        return _next(self.fields, self.zone, moment.replace(microsecond=0))


def fields_of(expression: str) -> str:
    """The six fields of an expression; raises `InvalidPolicy` for another number of them."""
    fields = NAMED.get(expression.strip().lower(), expression).upper().split()
    if len(fields) not in (5, 6):
        raise InvalidPolicy(
            f"Cron({_short(expression)}): expected five fields (minute, hour, day, month, day of the week), or six "
            "with seconds before them"
        )
    return " ".join(["0", *fields] if len(fields) == 5 else fields)


@lru_cache(maxsize=200)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name; raises `InvalidPolicy`."""
    try:
        return ZoneInfo(name)
    except Exception:  # of a hostile name, whatever the file system says to it
        raise InvalidPolicy(
            f"Cron(timezone={_short(name)}): expected a name like 'America/Sao_Paulo' or 'UTC'"
        ) from None


def in_zone(local: datetime, zone: tzinfo) -> datetime:
    """The moment, in UTC, at which this wall time comes; the first of two, the end of the gap where it never comes."""
    before = local.replace(tzinfo=zone, fold=0)
    moment = before.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    # the offset changes between the two readings of a time that does not exist: find the second at which it does
    low, high = local.replace(tzinfo=zone, fold=1).astimezone(UTC), moment
    offset = low.astimezone(zone).utcoffset()
    while high - low > SECOND:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=1_000)
def _check(expression: str) -> None:
    fields = fields_of(expression)
    try:
        next(CronSim(fields, _SOME_DAY))
    except StopIteration:
        raise InvalidPolicy(f"Cron({_short(expression)}): no such time comes within 50 years") from None
    except CronSimError as error:
        raise InvalidPolicy(f"Cron({_short(expression)}): {str(error).lower()}; write it like '0 9 * * 1-5'") from None
    except Exception:  # cronsim's own slips over letters that nobody expects
        raise InvalidPolicy(f"Cron({_short(expression)}): it is no cron expression") from None


def _next(fields: str, zone: tzinfo, moment: datetime) -> datetime | None:
    local = moment.astimezone(zone)
    try:
        if len(CronSim(fields, _SOME_DAY).hours) == _EVERY_HOUR:
            return next(CronSim(fields, local)).astimezone(UTC)
        for wall in CronSim(fields, local.replace(tzinfo=None)):
            # of an hour that comes twice, the second one reads as times that are past
            if (found := in_zone(wall, zone)) > moment:
                return found
    except StopIteration:
        pass
    return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
