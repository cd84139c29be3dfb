"""What the words on the command line must look like; each function is an argparse type."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from jobs.errors import InvalidPolicy
from jobs.operate.subjects import SHORTEST_TEXT
from jobs.policy import AS_IN_CODE, ONE_YEAR, InCode, RateLimit

#: Characters of a wrong argument that its error repeats.
MOST_QUOTED = 200
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
#: The most of a pace.
FASTEST = 1_000_000
LONGEST_AGE = 36_500 * 86_400


def uuid(text: str) -> UUID:
    """A job's id."""
    try:
        return UUID(text)
    except ValueError:
        raise _wrong(_("%(value)s is not a job's id (a UUID)"), text) from None


def seconds(text: str) -> float:
    """Seconds, from 0 to a year."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= ONE_YEAR:
        refusal = _("%(value)s: expected seconds, from 0 to %(highest)s (a year)")
        raise _wrong(refusal, text, highest=number_format(int(ONE_YEAR), force_grouping=True))
    return value


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number within these bounds."""

    def read(text: str) -> int:
        if not text.isdigit() or not lowest <= int(text) <= highest:
            refusal = _("%(value)s: expected a whole number from %(lowest)s to %(highest)s")
            raise _wrong(refusal, text, lowest=lowest, highest=number_format(highest, force_grouping=True))
        return int(text)

    return read


def json_of(kind: type) -> Callable[[str], Any]:
    """JSON of this kind: a list or an object."""

    def read(text: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            short = text if len(text) <= MOST_QUOTED else f"{text[:MOST_QUOTED]}..."
            raise _wrong(_("%(value)s is no JSON: %(error)s"), short, error=error) from None
        if not isinstance(value, kind):
            refusal = _("%(value)s: expected a JSON list") if kind is list else _("%(value)s: expected a JSON object")
            raise _wrong(refusal, text)
        return value

    return read


def moment(text: str) -> datetime:
    """A time with its zone."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.utcoffset() is None:
        raise _wrong(_("%(value)s: expected a time with its zone, like 2027-01-31T09:00-03:00"), text)
    return value


def pace(text: str) -> RateLimit:
    """How many in which time: 10/s, 100/m, 1000/h."""
    number, slash, unit = text.partition("/")
    fits = slash and number.isascii() and number.isdigit() and unit in _UNITS
    if not fits or not 1 <= int(number) <= FASTEST:
        raise _wrong(_("%(value)s: expected a pace like 10/s, 100/m or 1000/h"), text)
    return RateLimit(int(number), per=_UNITS[unit])


def rate_limit(text: str) -> RateLimit:
    """How many in so many seconds: 10/60, or with a unit 100/m."""
    try:
        return _rate_of(text)
    except (ValueError, InvalidPolicy):
        raise _wrong(_("%(value)s: expected a limit like 10/60 (ten in a minute) or 100/m"), text) from None


def limit_of(name: str) -> Callable[[str], list[RateLimit | int | None | InCode]]:
    """What a limit of a queue is to be, in a list: a number or a pace, none, code; `set_limits` checks the rest."""

    def read(text: str) -> list[RateLimit | int | None | InCode]:
        if text == "code":
            return [AS_IN_CODE]
        if text == "none" and name != "concurrency":
            return [None]
        if name != "rate_limit":
            if not (text.isascii() and text.isdigit()):
                refusal = _("%(value)s: expected a number, or code (what the code says)")
                if name == "global_concurrency":
                    refusal = _("%(value)s: expected a number, none, or code (what the code says)")
                raise _wrong(refusal, text)
            return [int(text)]
        try:
            return [_rate_of(text)]
        except (ValueError, InvalidPolicy):
            refusal = _("%(value)s: expected a limit like 10/1 (ten in one second) or 100/m, none, or code")
            raise _wrong(refusal, text) from None

    return read


def age(text: str) -> timedelta:
    """An age: a number with its unit (s, m, h, d), or seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    if not (number.isascii() and number.isdigit()) or int(number) * _UNITS[unit] > LONGEST_AGE:
        raise _wrong(_("%(value)s: expected an age like 45s, 30m, 12h or 7d, at most 36500d"), text)
    return timedelta(seconds=int(number) * _UNITS[unit])


def long_text(text: str) -> str:
    """A text that can be looked for in other people's errors."""
    if len(text) < SHORTEST_TEXT:
        raise _wrong(_("%(value)s: expected at least %(number)d characters"), text, number=SHORTEST_TEXT)
    return text


def _rate_of(text: str) -> RateLimit:
    number, _slash, per = text.partition("/")
    return RateLimit(int(number), per=_UNITS.get(per) or float(per))


def _wrong(refusal: str, text: str, **values: object) -> ArgumentTypeError:
    return ArgumentTypeError(refusal % {"value": repr(text), **values})
