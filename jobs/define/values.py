"""Values on their way through JSON: how each is written, and whether it came out equal on the other side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Model, QuerySet
from django.utils.functional import Promise

#: How deep lists and objects may stand in each other: every reader of JSON has such a limit, and some lie low.
MAX_DEPTH = 100
#: The whole numbers that every reader of JSON reads as such.
LOWEST, HIGHEST = -(2**63), 2**64 - 1
_SIMPLE = frozenset({str, bool, type(None)})
_LEAVES = (UUID, date, time, timedelta, Decimal, bytes, bytearray, memoryview)
#: What a text may stand for where the annotation says so; bytes are not among them: base64 is no spelling of anyone's.
_SPELLED_AS_TEXT = (UUID, date, time, timedelta, Decimal, Enum)


class NotPlain(ValueError):
    """A value that JSON cannot hold, whatever its type; the message says why and what to do."""


class TooWide(NotPlain):
    """More parts than the limit of bytes can hold."""


def plain(value: Any, most_parts: int) -> Any:
    """The value in JSON's own types; raises `NotPlain`, also where it has over `most_parts` parts (`TooWide`).

    Nothing of the value's own is called that a subclass could have overwritten, except to read what it holds.
    """
    return _Writer(most_parts).write(value, 0)


def is_plain(value: Any, most_parts: int) -> bool:
    """Whether the value already is what JSON reads: then it comes out as it is, and nobody needs to look."""
    return _parts_left(value, 0, most_parts) >= 0


def _parts_left(value: Any, depth: int, left: int) -> int:
    """How many parts are left when those of the value are counted; negative where it is not plain."""
    kind = type(value)
    if kind in _SIMPLE:
        return left
    if kind is int:
        return left if LOWEST <= value <= HIGHEST else -1
    if kind is float:
        return left if math.isfinite(value) else -1
    if depth > MAX_DEPTH or kind not in (dict, list):
        return -1
    left -= len(value)
    if kind is dict and not all(type(key) is str for key in value):
        return -1
    for item in value.values() if kind is dict else value:
        if left < 0:
            return -1
        if type(item) not in _SIMPLE:
            left = _parts_left(item, depth + 1, left)
    return left


def difference(value: Any, again: Any) -> tuple[str, str] | None:
    """Where and how `again`, which came out of JSON, differs from `value`, which went in; None if it does not.

    A value in JSON's spelling (the text of a UUID, a list for a tuple, an object for a dataclass) may come out as what
    the annotation makes of it, as long as nothing of it is lost.
    """
    kind, found = type(value), type(again)
    if issubclass(kind, Promise):
        return None if value == again else ("", f"a lazy value comes out as a {found.__name__}")
    if issubclass(kind, found):
        return _difference_of_same(value, again, kind, found)
    if (kind is str and isinstance(again, _SPELLED_AS_TEXT)) or (kind is list and _is_array(value, again)):
        return None
    if kind in (int, float) and isinstance(again, (float, Decimal)):
        return None if kind(again) == value else ("", "this number does not come out equal")
    if kind is int and isinstance(again, Enum):
        return None
    if kind is dict and not isinstance(again, Mapping) and _covers(msgspec.to_builtins(again, str_keys=True), value):
        return None
    if kind is dict:
        return "", f"not all keys of the object are known to {found.__name__}"
    return "", f"a {kind.__name__} comes out as a {found.__name__}"


def name_of(value: Any) -> str:
    """The name of the value's class; of a lazy object that of the class it stands for."""
    try:
        return str(value.__class__.__name__)
    except Exception:  # whatever somebody's class does, it must not hide what is wrong with it
        return type(value).__name__


class _Writer:
    def __init__(self, most_parts: int) -> None:
        self._left = most_parts

    def write(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self._left -= 1
        if self._left < 0:
            raise TooWide("has too many parts")
        if kind in _SIMPLE:
            return value
        if depth > MAX_DEPTH:
            raise NotPlain(f"lists and objects stand over {MAX_DEPTH} deep in each other")
        if kind is int and LOWEST <= value <= HIGHEST:
            return value
        if issubclass(kind, dict):
            return self._object(dict.items(value), len(value), depth)
        if issubclass(kind, list):
            return [self.write(item, depth + 1) for item in list.__iter__(value)]
        if issubclass(kind, tuple):
            return [self.write(item, depth + 1) for item in tuple.__iter__(value)]
        if issubclass(kind, (set, frozenset)):
            # a set that is wider than the limit needs not be read to its end
            walk = set.__iter__ if issubclass(kind, set) else frozenset.__iter__
            return [self.write(item, depth + 1) for item in islice(walk(value), self._left + 1)]
        return self._leaf(value, kind, depth)

    def _leaf(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, Enum):
            return self.write(value.value, depth)
        if issubclass(kind, str):
            return str.__str__(value)
        if issubclass(kind, Promise):
            return str(value)
        if issubclass(kind, float):
            if not math.isfinite(float.__float__(value)):
                raise NotPlain(f"JSON has no number {float.__repr__(value)}")
            return float.__float__(value)
        if issubclass(kind, int):
            if not LOWEST <= int.__index__(value) <= HIGHEST:
                raise NotPlain("a whole number of over 64 bits")
            return int.__index__(value)
        if issubclass(kind, datetime):
            return msgspec.to_builtins(_whole_minutes(value))
        if issubclass(kind, Decimal) and value.is_nan():
            raise NotPlain("a Decimal that is no number is not equal to itself")
        if issubclass(kind, _LEAVES):
            return msgspec.to_builtins(value)
        _refuse_models(value)
        if is_dataclass(kind):
            parts = ((field.name, getattr(value, field.name)) for field in fields(value))
            return self._object(parts, len(fields(value)), depth)
        if issubclass(kind, msgspec.Struct) or hasattr(kind, "__attrs_attrs__"):
            return self.write(msgspec.to_builtins(value, str_keys=True, enc_hook=_refuse), depth)
        raise NotPlain(f"a {name_of(value)} is no JSON; pass an id or plain values")

    def _object(self, parts: Iterable[tuple[Any, Any]], count: int, depth: int) -> dict[str, Any]:
        written = {self._key(key): self.write(item, depth + 1) for key, item in parts}
        if len(written) != count:
            raise NotPlain("two keys of an object read the same in JSON")
        return written

    def _key(self, key: Any) -> str:
        kind = type(key)
        if kind is str:
            return str(key)
        if issubclass(kind, (str, Promise)) and not issubclass(kind, Enum):
            return str(self._leaf(key, kind, 0))
        if issubclass(kind, float) and not math.isfinite(key):
            raise NotPlain(f"JSON has no number {key!r}")
        if issubclass(kind, int) and not LOWEST <= key <= HIGHEST:
            raise NotPlain("a whole number of over 64 bits")
        try:
            (name,) = msgspec.to_builtins({key: None}, str_keys=True)
        except (TypeError, ValueError, RecursionError):
            raise NotPlain(f"a JSON object's keys are str, and a {name_of(key)} cannot be written as one") from None
        return str(name)


def _whole_minutes(value: datetime) -> datetime:
    """The moment in plain `datetime`, in UTC where its offset has seconds, for which the text of a moment has no place.

    A naive moment of the second hour of a fold is refused: the text has no place for that either.
    """
    offset = value.utcoffset()
    if offset is None and value.fold:
        raise NotPlain("a naive datetime with fold=1 has no text of its own; pass an aware one")
    if offset is not None and offset % timedelta(minutes=1):
        try:
            return datetime.combine(*_parts(value.astimezone(UTC)))
        except OverflowError:
            raise NotPlain("the moment lies beyond what UTC can say") from None
    return value if type(value) is datetime else datetime.combine(*_parts(value))


def _parts(value: datetime) -> tuple[date, time]:
    return date(value.year, value.month, value.day), value.timetz()


def _difference_of_same(value: Any, again: Any, kind: type, found: type) -> tuple[str, str] | None:
    if issubclass(found, dict):
        return _difference_of_objects(value, again)
    if issubclass(found, (list, tuple)):
        walk = list.__iter__ if issubclass(found, list) else tuple.__iter__
        return _difference_of_parts(
            (f"[{i}]", one, other) for i, (one, other) in enumerate(zip(walk(value), walk(again), strict=True))
        )
    if is_dataclass(found) or issubclass(found, msgspec.Struct):
        if kind is not found:
            return "", f"a {kind.__name__} comes out as a {found.__name__}"
        names = [one.name for one in fields(found)] if is_dataclass(found) else found.__struct_fields__
        return _difference_of_parts((f".{name}", getattr(value, name), getattr(again, name)) for name in names)
    same = _same_moment(value, again) if issubclass(found, (datetime, time)) else _equal(value, again, found)
    return None if same else ("", f"this {kind.__name__} does not come out equal")


def _difference_of_objects(value: Any, again: Any) -> tuple[str, str] | None:
    if dict.__len__(value) != len(again):
        return "", "not all keys of the object are known to the annotation"
    for (key, item), (other_key, other) in zip(dict.items(value), again.items(), strict=True):
        # JSON spells every key as text
        if type(key) is not str or isinstance(other_key, str):
            found = difference(key, other_key)
            if found:
                return f"[{_key_text(key)}]", f"as a key, {found[1]}"
        found = difference(item, other)
        if found:
            return f"[{_key_text(key)}]{found[0]}", found[1]
    return None


def _difference_of_parts(parts: Iterable[tuple[str, Any, Any]]) -> tuple[str, str] | None:
    for where, one, other in parts:
        found = difference(one, other)
        if found:
            return f"{where}{found[0]}", found[1]
    return None


def _equal(value: Any, again: Any, found: type) -> bool:
    if found is Decimal:
        return bool(Decimal.as_tuple(value) == again.as_tuple())
    same: Any = found.__eq__  # not the value's own, which a subclass may have overwritten
    return same(again, value) is True


def _same_moment(value: Any, again: Any) -> bool:
    if (value.tzinfo is None) != (again.tzinfo is None):
        return False
    if isinstance(value, datetime) and value.tzinfo is not None:
        # not ==: that calls the two hours of a fold unequal to any other zone's
        return not value - again
    return bool(value == again and value.fold == again.fold)


def _key_text(key: Any) -> str:
    try:
        return repr(key)
    except Exception:
        return f"a {name_of(key)}"


def _is_array(value: list[Any], again: Any) -> bool:
    """Whether a list came out whole as another kind of array."""
    if not isinstance(again, (tuple, set, frozenset)) or len(value) != len(again):
        return False
    if isinstance(again, tuple):
        return all(difference(one, other) is None for one, other in zip(value, again, strict=True))
    return True


def _covers(written: Any, value: Any) -> bool:
    """Whether every key of `value` is still in what it became, written anew."""
    if isinstance(value, dict):
        return isinstance(written, dict) and all(
            key in written and _covers(written[key], item) for key, item in value.items()
        )
    if isinstance(value, list):
        return isinstance(written, (list, tuple)) and len(written) == len(value) and all(map(_covers, written, value))
    return True


def _refuse_models(value: Any) -> None:
    if isinstance(value, Model):
        # a lazy object (request.user) is called by the class that it stands for
        kind = name_of(value)
        raise NotPlain(f"a {kind} instance is no JSON; pass {kind.lower()}.id and load it in the task")
    if isinstance(value, QuerySet):
        raise NotPlain("a QuerySet is no JSON; pass a list of ids")


def _refuse(value: Any) -> Iterator[Any]:
    _refuse_models(value)
    raise NotPlain(f"a {name_of(value)} is no JSON; pass an id or plain values")
