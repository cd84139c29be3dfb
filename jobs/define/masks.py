"""Personal values of a job (DESIGN G13), recognised in a text in whatever letter case or encoding, and masked there."""

from __future__ import annotations

import html
import json
import math
import re
import string
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

import msgspec

from ..errors import InvalidArguments
from .message import MAX_DEPTH, MessageError, Signature

MASK = "***"
#: What is shorter would mask common words and numbers.
SHORTEST_SECRET = 4
#: Encodings within each other that are looked through, such as JSON in a `repr` in a query.
MAX_LAYERS = 4


class Mask:
    """Takes a job's personal values out of texts: `mask(text)`. Costs nothing until it is called."""

    __slots__ = ("_by", "_message", "_others", "_secrets", "_signature")

    def __init__(self, signature: Signature | None = None, message: str = "") -> None:
        self._signature = signature
        self._message = message
        self._secrets: tuple[str, ...] | None = None if signature and signature.personal else ()
        self._by = MASK
        self._others: tuple[Mask, ...] = ()

    @classmethod
    def of_all(cls, masks: Iterable[Mask]) -> Mask:
        """One that knows what all of these do: of jobs that one call takes."""
        mask = cls()
        mask._others = tuple(filter(None, masks))
        mask._secrets = None if mask._others else ()
        return mask

    @classmethod
    def of_texts(cls, texts: Iterable[str], by: str) -> Mask:
        """One that writes `by` in place of these texts."""
        mask = cls()
        mask._secrets, mask._by = secrets_of(texts), by
        return mask

    def __call__(self, text: str) -> str:
        """The text with `***` in place of each personal value, as it is or in another spelling.

        Known are other letter cases and Unicode forms, and escapes of JSON, Python, HTML and addresses, also one in
        the other.
        """
        secrets = self._known()
        return masked(text, secrets, self._by) if secrets else text

    def _known(self) -> tuple[str, ...]:
        if self._secrets is None:
            found = {secret for one in self._others for secret in one._known()}
            if self._signature is not None:
                found.update(secrets_of(_personal_values(self._signature, self._message)))
            self._secrets = tuple(sorted(found, key=len, reverse=True))
        return self._secrets

    def of_value(self, value: Any, depth: int = 0) -> Any:
        """The JSON value with its texts, keys and numbers masked; what stands over 100 deep in it is left out."""
        if depth > MAX_DEPTH:
            return "..."
        if isinstance(value, dict):
            return {self(key): self.of_value(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of_value(item, depth + 1) for item in value]
        if isinstance(value, str):
            return self(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text = repr(value)
            # of older versions: no JSON has the numbers nan and inf
            return self._by if self(text) != text else value if math.isfinite(value) else text
        return value

    def __bool__(self) -> bool:
        return self._secrets != ()


NO_MASK = Mask()


def secrets_of(values: Iterable[Any]) -> tuple[str, ...]:
    """The texts, folded, that must not be seen where these values are personal; the longest first."""
    texts = {folded for value in values for text in _texts(value) for folded in _spellings(text)}
    return tuple(sorted((text for text in texts if len(text.strip()) >= SHORTEST_SECRET), key=len, reverse=True))


def spellings_of(text: str) -> set[str]:
    """The text as stored errors and results may hold it, for a search that knows no escapes: they differ in these."""
    escaped = {json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1], repr(text)[1:-1], ascii(text)[1:-1]}
    return {text, *escaped, quote(text, safe=""), quote_plus(text), html.escape(text)}


def mentions(text: str, values: Collection[str]) -> bool:
    """Whether one of the values stands in the text, in whatever letter case or encoding.

    Known are other letter cases and Unicode forms, and escapes of JSON, Python, HTML and addresses, up to four within
    each other. Values shorter than 4 characters are not looked for.
    """
    secrets = secrets_of(values)
    return any(True for unescape in (_unescape, _unescape_latin) for _place in _found(text, secrets, unescape))


def masked(text: str, secrets: Iterable[str], by: str = MASK) -> str:
    """The text with `by` in place of each of the folded secrets, through up to four encodings within each other."""
    found = {*_found(text, secrets, _unescape), *_found(text, secrets, _unescape_latin)}
    return _covered(text, found, by)


def _found(text: str, secrets: Iterable[str], unescape: _Rewrite) -> Iterator[tuple[int, int]]:
    layer = _Layer(text, range(len(text)), range(1, len(text) + 1))
    for _depth in range(MAX_LAYERS + 1):
        folded = _fold(layer)
        for secret in secrets:
            at = folded.text.find(secret)
            while at >= 0:
                yield folded.starts[at], folded.ends[at + len(secret) - 1]
                at = folded.text.find(secret, at + 1)
        deeper = _rewritten(layer, _ESCAPES, unescape)
        if deeper.text == layer.text:
            return
        layer = deeper


def _covered(text: str, found: Iterable[tuple[int, int]], by: str) -> str:
    parts: list[str] = []
    done = 0
    for start, end in sorted(found):
        if start >= done:
            parts += (text[done:start], by)
        done = max(done, end)
    return "".join([*parts, text[done:]])


#: Of a match: the characters that it stands for, and how many of the match belong to each.
_Rewrite = Callable[[str], list[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class _Layer:
    """A text, and for each of its characters where it begins and ends in the original."""

    text: str
    starts: Any
    ends: Any


def _rewritten(layer: _Layer, pattern: re.Pattern[str], rewrite: _Rewrite) -> _Layer:
    """The layer with each match rewritten."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for match in pattern.finditer(layer.text):
        parts.append(layer.text[done : match.start()])
        starts += layer.starts[done : match.start()]
        ends += layer.ends[done : match.start()]
        at = match.start()
        for characters, width in rewrite(match[0]):
            parts.append(characters)
            starts += [layer.starts[at]] * len(characters)
            ends += [layer.ends[at + width - 1]] * len(characters)
            at += width
        done = match.end()
    if not done:
        return layer
    starts += layer.starts[done:]
    ends += layer.ends[done:]
    return _Layer("".join([*parts, layer.text[done:]]), starts, ends)


# What is compared: letters without case and in one Unicode form. A `+` is a space in an address, and a space may be one
# of many, or the end of a line.
_FOLDED = re.compile(r"[\s+]{2,}|[^\S ]|\+|[^\x00-\x7f]")
_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}


def _fold(layer: _Layer) -> _Layer:
    return _rewritten(_Layer(layer.text.translate(_LOWER), layer.starts, layer.ends), _FOLDED, _fold_one)


def _fold_one(text: str) -> list[tuple[str, int]]:
    if text[0] == "+" or text[0].isspace():
        return [(" ", len(text))]
    return [(_folded(text), 1)]


@cache
def _folded(character: str) -> str:
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())


_ESCAPES = re.compile(
    r"(?:%[0-9A-Fa-f]{2})+"
    r"|(?:\\x[0-9A-Fa-f]{2})+"
    r"|(?:\\[0-3][0-7]{2})+"
    r"|(?:\\u[0-9A-Fa-f]{4})+"
    r"|\\U00[01][0-9A-Fa-f]{5}|\\u\{[0-9A-Fa-f]{1,6}\}"
    r"|\\[\\'\"/`nrtbfav]"
    r"|&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"
)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}


def _unescape(text: str) -> list[tuple[str, int]]:
    if text[0] == "%":
        return _of_bytes(bytes.fromhex(text.replace("%", "")), 3)
    if text[:2] == "&#":
        digits = text[2:].rstrip(";")
        number = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
        return [(chr(number) if number <= 0x10FFFF else "?", len(text))]
    if text[0] == "&":
        plain = html.unescape(text)
        return [(plain, len(text))] if plain != text else [(text[0], 1), *((one, 1) for one in text[1:])]
    if text[1] == "x":
        return _of_bytes(bytes.fromhex(text.replace("\\x", "")), 4)
    if text[1] in "01234567":
        return _of_bytes(bytes(int(one, 8) for one in text[1:].split("\\")), 4)
    if text[1] == "u" and text[2] != "{":
        return _of_utf16(text)
    if text[1] in "uU":
        number = int(text[2:].strip("{}"), 16)
        return [(chr(number) if number <= 0x10FFFF else "?", len(text))]
    return [(_LETTERS.get(text[1], text[1]), 2)]


def _unescape_latin(text: str) -> list[tuple[str, int]]:
    """As `_unescape`, but bytes below 256 are characters, as in the `repr` of a text, and no UTF-8."""
    if text[:2] == "\\x":
        return [(chr(int(one, 16)), 4) for one in text[2:].split("\\x")]
    return _unescape(text)


def _of_bytes(data: bytes, width: int) -> list[tuple[str, int]]:
    """UTF-8, or Latin-1 where it is none."""
    characters: list[tuple[str, int]] = []
    for one in data.decode("utf-8", "surrogateescape"):
        if "\udc80" <= one <= "\udcff":
            characters.append((chr(ord(one) - 0xDC00), width))
        else:
            characters.append((one, width * len(one.encode())))
    return characters


def _of_utf16(text: str) -> list[tuple[str, int]]:
    characters: list[tuple[str, int]] = []
    for one in (chr(int(number, 16)) for number in text[2:].split("\\u")):
        last = characters[-1][0] if characters else ""
        if "\ud800" <= last <= "\udbff" and "\udc00" <= one <= "\udfff":
            whole = 0x10000 + ((ord(last) - 0xD800) << 10) + (ord(one) - 0xDC00)
            characters[-1] = (chr(whole), 12)
        else:
            characters.append((one, 6))
    return characters


def _spellings(text: str) -> Iterator[str]:
    """The text as it is compared; also without the encoding that it may itself have come with."""
    layer = _Layer(text, range(len(text)), range(1, len(text) + 1))
    for one in (layer, _rewritten(layer, _ESCAPES, _unescape)):
        yield _fold(one).text.strip()


def _personal_values(signature: Signature, message: str) -> Iterator[Any]:
    """The personal arguments of a stored call: with their types, and as JSON has them."""
    try:
        arguments: Mapping[str, Any] = signature.named(*signature.decode(message))
        yield from (value for name, value in arguments.items() if name in signature.personal)
    except (MessageError, InvalidArguments, TypeError):
        pass  # what JSON has must do
    try:
        content = json.loads(message)
        args, kwargs = content["args"], content["kwargs"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        return
    try:
        arguments = signature.named(args, kwargs)
    except TypeError:
        # the positions no longer tell which argument is which: with anything personal, all of them are
        yield args
        arguments = kwargs
    yield from (value for name, value in arguments.items() if name in signature.personal)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """The value as text, and each text inside it."""
    if value is None or isinstance(value, bool) or depth > 200:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            # the names of fields are no data
            if not (isinstance(key, str) and key.isidentifier()):
                yield from _texts(key, depth + 1)
            yield from _texts(item, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item, depth + 1)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _texts(getattr(value, field.name), depth + 1)
    elif isinstance(value, msgspec.Struct):
        yield from _texts(msgspec.structs.asdict(value), depth + 1)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        yield bytes(value).decode("utf-8", "backslashreplace")
    elif isinstance(value, UUID):
        yield from (str(value), value.hex)
    elif isinstance(value, (date, time)):
        yield from (str(value), value.isoformat(), repr(value))
    else:
        yield str(value)
