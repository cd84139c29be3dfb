"""A rule in words, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from .cron import Cron
from .every import Every
from .rule import Rule

DAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
#: More times of a day than these are not listed one by one.
MOST_TIMES = 6
_NUMBERS = re.compile(r"\d+(,\d+)*\Z")
_STEP = re.compile(r"(?:\*|0)/(\d+)\Z")


def in_words(rule: Rule) -> str:
    """What the rule says, as a sentence without a full stop."""
    if isinstance(rule, Every):
        return _every(int(rule.step.total_seconds()))
    if isinstance(rule, Cron):
        words = _of_cron(rule.fields)
        return f"{words} ({rule.timezone})" if rule.timezone else words
    return _("at the minutes that a function of the code names")


def _every(seconds: int) -> str:
    if seconds % 86_400 == 0:
        days = seconds // 86_400
        return ngettext("every day", "every %(count)d days", days) % {"count": days}
    if seconds % 3_600 == 0:
        hours = seconds // 3_600
        return ngettext("every hour", "every %(count)d hours", hours) % {"count": hours}
    if seconds % 60 == 0:
        minutes = seconds // 60
        return ngettext("every minute", "every %(count)d minutes", minutes) % {"count": minutes}
    return ngettext("every second", "every %(count)d seconds", seconds) % {"count": seconds}


def _of_cron(fields: str) -> str:
    second, minute, hour, day, month, weekday = fields.split()
    parts = [*_times(second, minute, hour), *_days(day, weekday), *_months(month)]
    return ", ".join(parts)


def _times(second: str, minute: str, hour: str) -> list[str]:
    if all(_NUMBERS.match(field) for field in (second, minute, hour)):
        times = [
            f"{int(h):02}:{int(m):02}" + (f":{int(s):02}" if second != "0" else "")
            for h in sorted(hour.split(","), key=int)
            for m in sorted(minute.split(","), key=int)
            for s in sorted(second.split(","), key=int)
        ]
        if len(times) <= MOST_TIMES:
            return [_("at %(times)s") % {"times": get_text_list(times, _("and"))}]
    parts = []
    if second != "0":
        parts.append(_unit(second, 1, _("at second %(number)s")))
    if minute != "*" or second == "0":
        parts.append(_unit(minute, 60, _("at minute %(number)s")))
    if hour != "*":
        parts.append(_unit(hour, 3_600, _("in hour %(number)s")))
    return parts


def _unit(field: str, seconds: int, at: str) -> str:
    if field == "*":
        return _every(seconds)
    step = _STEP.match(field)
    return _every(seconds * int(step[1])) if step and int(step[1]) < 60 else at % {"number": _spaced(field)}


def _days(day: str, weekday: str) -> list[str]:
    days = [] if day == "*" else [_day(day)]
    weekdays = (
        []
        if weekday == "*"
        else [_("on %(days)s") % {"days": _list(weekday, _weekday, pgettext("days", "%(first)s to %(last)s"))}]
    )
    if days and weekdays and not day.startswith("*") and not weekday.startswith("*"):
        return [_("%(days)s or %(weekdays)s") % {"days": days[0], "weekdays": weekdays[0]}]
    return days + weekdays


def _day(field: str) -> str:
    if field == "L":
        return _("on the last day of the month")
    if field == "LW":
        return _("on the last working day of the month")
    return _("on day %(number)s of the month") % {"number": _spaced(field)}


def _months(field: str) -> list[str]:
    if field == "*":
        return []
    return [
        pgettext("months", "in %(months)s")
        % {"months": _list(field, _month, pgettext("months", "%(first)s to %(last)s"))}
    ]


def _list(field: str, name: Callable[[str], str], range_: str) -> str:
    """The names in a field's list; ranges from one to another; the field itself where that is no words."""
    words = []
    for item in field.split(","):
        ends = item.split("-")
        named = [name(one) for one in ends]
        if len(ends) > 2 or not all(named):
            return _spaced(field)
        words.append(named[0] if len(named) == 1 else range_ % {"first": named[0], "last": named[1]})
    return get_text_list(words, _("and"))


def _weekday(text: str) -> str:
    name, hash_, number = text.partition("#")
    last = name.endswith("L") and not hash_
    name = name.removesuffix("L") if last else name
    index = int(name) % 7 if name.isdigit() else DAY_NAMES.index(name) if name in DAY_NAMES else None
    if index is None:
        return ""
    day = str(WEEKDAYS[(index - 1) % 7])
    if last:
        return _("the last %(day)s of the month") % {"day": day}
    return _("%(day)s number %(number)s of the month") % {"day": day, "number": number} if hash_ else day


def _month(text: str) -> str:
    index = int(text) if text.isdigit() else MONTH_NAMES.index(text) + 1 if text in MONTH_NAMES else 0
    return str(MONTHS.get(index, ""))


def _spaced(field: str) -> str:
    return field.replace(",", ", ")
