"""The text of the query box: `queue:email state:failed error:timeout created:<2h` and free text, read into a query."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NoReturn
from uuid import UUID

from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..define.labels import checked_group, checked_tag
from ..errors import InvalidOption
from ..fingerprint import CAUSE
from ..policy import HIGHEST_PRIORITY, LOWEST_PRIORITY
from . import lookup
from .query import Comparisons, Query, Value

#: The filters, each with what it takes and means.
WORDS: Mapping[str, Any] = MappingProxyType(
    {
        "queue": gettext_lazy("a queue's name"),
        "state": gettext_lazy("waiting, scheduled, retrying, active, failed …"),
        "task": gettext_lazy("a task's name, or its last part"),
        "created": gettext_lazy(">7d longer ago, <2h in the last two hours, 2026-11-20, 2026-11-20..2026-11-21"),
        "error": gettext_lazy("a text in the error"),
        "args": gettext_lazy("a text in the arguments that are no personal data"),
        "about": gettext_lazy("an object: lead:ID"),
        "tag": gettext_lazy("a tag; several times: all of them"),
        "group": gettext_lazy("a group's name"),
        "scope": gettext_lazy("whose it is"),
        "priority": gettext_lazy("1 (highest) to 10: 1, <=3, 2..4"),
        "attempts": gettext_lazy("how many: 0, >=3"),
        "ran": gettext_lazy("how long: >5s, <100ms, 1m..5m"),
        "id": gettext_lazy("an id, or how it begins"),
        "key": gettext_lazy("the whole key"),
        "event": gettext_lazy("an event's id"),
        "parent": gettext_lazy("the id of the job that enqueued it"),
        "cause": gettext_lazy("a cause of dead letters: its 16 digits"),
    }
)
#: Seconds of each unit.
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
#: Characters of a query.
LONGEST = 1_000
_TOKEN = re.compile(r'(?:(?P<word>[A-Za-z_]+):)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"?|(?P<plain>\S+))')
_DURATION = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(UNITS)})\Z")
_COMPARED = re.compile(r"(<=|>=|<|>|=)?(.*)\Z", re.DOTALL)
_LOOKUPS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "=": "exact", None: "exact"}
_HEX = re.compile(r"[0-9a-f]{1,31}\Z")
#: No row holds a longer time.
_LONGEST_TIME = timedelta(days=36_500)


def parse(text: str, now: datetime, zone: tzinfo | None = None) -> Query:
    """What the text asks for at this moment; days are those of the zone (default: the reader's).

    Raises `InvalidOption` in words for people, which name what is wrong and the remedy.
    """
    zone = zone or get_current_timezone()
    if len(text) > LONGEST:
        raise InvalidOption(_("a query has at most %(most)d characters") % {"most": LONGEST})
    found: dict[str, Any] = {}
    tags: list[str] = []
    free: list[str] = []
    unknown: list[str] = []
    for word, value in _tokens(text):
        if not word:
            free.append(value)
        elif word not in WORDS:
            unknown.append(_no_filter(word, value))
            free.append(f"{word}:{value}")
        elif word == "tag":
            tags.append(_checked(word, value, checked_tag))
        elif word in found:
            text = _("%(word)s is given twice: keep one of %(word)s:%(one)s and %(word)s:%(other)s")
            raise InvalidOption(text % {"word": word, "one": found[word][0], "other": value})
        else:
            found[word] = (value, _read(word, value, now, zone))
    values = {word: read for word, (_value, read) in found.items()}
    values["since"], values["before"] = values.pop("created", (None, None))
    if "id" in values:
        values["ids"] = values.pop("id")
    return Query(**values, tags=tuple(dict.fromkeys(tags)), text=" ".join(free).strip(), unknown=tuple(unknown))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        word, plain = (match["word"] or "").lower(), match["plain"]
        if plain is None:
            value = re.sub(r"\\(.)", r"\1", match["quoted"])
            if word and not value.strip():
                _refuse_empty(word)
            yield word, value
            continue
        if not word and plain.endswith(":") and plain[:-1].lower() in WORDS:
            _refuse_empty(plain[:-1].lower())
        yield word, plain


def _refuse_empty(word: str) -> NoReturn:
    text = _('%(word)s: is given no value; write %(word)s:VALUE without a space, or the whole text in "quotes"')
    raise InvalidOption(text % {"word": word})


def _no_filter(word: str, value: str) -> str:
    """The word, unless it is a filter's name that was mistyped."""
    if near := get_close_matches(word, WORDS, n=1, cutoff=0.75):
        text = _('"%(word)s" is no filter: did you mean %(near)s:%(value)s? To search for the text, put it in "quotes"')
        raise InvalidOption(text % {"word": word, "near": near[0], "value": value})
    return word


def _read(word: str, value: str, now: datetime, zone: tzinfo) -> Any:
    match word:
        case "state":
            return _state(value)
        case "event" | "parent":
            return _uuid(word, value)
        case "id":
            return _ids(value)
        case "cause":
            return _cause(value)
        case "created":
            return _window(value, now, zone)
        case "priority":
            return _whole(word, value, HIGHEST_PRIORITY, LOWEST_PRIORITY)
        case "attempts":
            return _whole(word, value, 0, 32_767)
        case "ran":
            return _compared(value, lambda text: _duration(text, word))
        case "group":
            return _checked(word, value, checked_group)
        case _:
            return value


def _checked(word: str, value: str, check: Callable[[str], str]) -> str:
    try:
        return check(value)
    except InvalidOption:
        text = _("%(word)s:%(value)s: no job has this; it is a short text without quotation marks")
        raise InvalidOption(text % {"word": word, "value": value}) from None


def _state(value: str) -> str:
    if value.lower() not in lookup.STATES:
        text = _("state:%(value)s: there is no such state; states are: %(states)s")
        raise InvalidOption(text % {"value": value, "states": ", ".join(lookup.STATES)})
    return value.lower()


def _uuid(word: str, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        text = _("%(word)s:%(value)s: expected a whole id, like 019ae3f0-0000-7000-8000-000000000000")
        raise InvalidOption(text % {"word": word, "value": value}) from None


def _ids(value: str) -> tuple[UUID, UUID]:
    digits = value.lower().replace("-", "")
    if not _HEX.match(digits):
        one = _uuid("id", value)
        return one, one
    return lookup.id_range(digits)


def _cause(value: str) -> str:
    if not CAUSE.match(value.lower()):
        text = _("cause:%(value)s: expected the 16 digits of a cause, as the page of dead letters by cause names it")
        raise InvalidOption(text % {"value": value})
    return value.lower()


def _whole(word: str, value: str, lowest: int, highest: int) -> Comparisons[int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not lowest <= int(text) <= highest:
            expected = _(
                "%(word)s:%(value)s: expected a whole number from %(lowest)d to %(highest)d, like 3, >=3 or 1..3"
            )
            raise InvalidOption(expected % {"word": word, "value": value, "lowest": lowest, "highest": highest})
        return int(text)

    whole = {"lt": ("lte", -1), "gt": ("gte", 1)}
    read = _compared(value, number)
    return tuple((whole[how][0], one + whole[how][1]) if how in whole else (how, one) for how, one in read)


def _compared(value: str, read: Callable[[str], Value]) -> Comparisons[Value]:
    first, dots, last = value.partition("..")
    if dots:
        return tuple((how, read(text)) for how, text in (("gte", first), ("lte", last)) if text or not (first or last))
    match = _COMPARED.match(value)
    sign, text = (match[1], match[2]) if match else (None, value)
    return ((_LOOKUPS[sign], read(text)),)


def _duration(text: str, word: str) -> timedelta:
    match = _DURATION.match(text)
    length = float(match[1]) * UNITS[match[2]] if match else -1
    if not 0 <= length <= _LONGEST_TIME.total_seconds():
        expected = _(
            "%(word)s:%(value)s: expected a time with its unit, like >5s, <100ms or 1m..5m (ms, s, m, h, d, w)"
        )
        raise InvalidOption(expected % {"word": word, "value": text})
    return timedelta(seconds=length)


def _window(value: str, now: datetime, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """From when, and before when."""
    match = _COMPARED.match(value)
    sign, text = (match[1], match[2]) if match else (None, value)
    if sign and _DURATION.match(text):
        moment = now - _duration(text, "created")
        return (moment, None) if sign.startswith("<") else (None, moment)
    first, dots, last = value.partition("..")
    if not dots:
        last = first
    if sign or not (first or last):
        _refuse_window(value)
    since = _moment(first, value, zone, end=False) if first else None
    before = _moment(last, value, zone, end=True) if last else None
    if since and before and since >= before:
        raise InvalidOption(_("created:%(value)s: the end is before the beginning") % {"value": value})
    return since, before


def _moment(text: str, value: str, zone: tzinfo, *, end: bool) -> datetime:
    """The moment; of a day its beginning, or the end; of a minute that too."""
    try:
        if len(text) == len("2026-11-20"):
            found = datetime.combine(date.fromisoformat(text), time.min) + timedelta(days=1 if end else 0)
        else:
            found = datetime.fromisoformat(text)
            found += timedelta(minutes=1) if end and found.second == 0 and text.count(":") == 1 else timedelta(0)
        # also a moment at the edge of the calendar must be one in every zone
        moment = found if found.tzinfo else found.replace(tzinfo=zone)
        if not 1970 < moment.year < 9999:
            raise ValueError(text)
    except (ValueError, OverflowError):
        _refuse_window(value)
    return moment


def _refuse_window(value: str) -> NoReturn:
    text = _(
        "created:%(value)s: expected >7d (longer ago), <2h (in the last two hours), a day 2026-11-20, or 2026-11-20.."
    )
    raise InvalidOption(text % {"value": value}) from None
