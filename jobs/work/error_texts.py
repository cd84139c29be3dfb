"""What is kept of an exception: its line and its traceback, without personal data and fit for any store."""

from __future__ import annotations

import json
import traceback as tracebacks
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

MAX_ERROR = 2_000
MAX_TRACEBACK = 32_000
#: What is shorter would mask common letters.
SHORTEST_SECRET = 3
MASK = "***"


def line_of(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """The exception's type and message in one line; an exception that cannot say anything is named all the same."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException as broken:  # whatever a task's own exception does, it must not break the worker
        text = f"<its text cannot be read: {type(broken).__name__}>"
    text = " ".join(_clean(text, secrets).split())
    line = f"{name}: {text}" if text else name
    return line if len(line) <= MAX_ERROR else f"{line[: MAX_ERROR - 3]}..."


def trace_of(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """The exception's traceback, without local variables; the middle of a huge one is left out."""
    try:
        text = "".join(tracebacks.format_exception(error))
    except BaseException as broken:  # as above
        text = "".join(tracebacks.format_tb(error.__traceback__)) + f"<no more of it: {type(broken).__name__}>"
    # first the mask, then the cut: half a secret would not be recognised
    text = _clean(text, secrets)
    if len(text) <= MAX_TRACEBACK:
        return text
    half = MAX_TRACEBACK // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


def secrets_of(values: Iterable[Any]) -> tuple[str, ...]:
    """The texts that must not be seen where these values are personal; also as `repr` and JSON would write them."""
    texts: set[str] = set()
    for value in values:
        for text in _texts(value):
            texts |= {text, repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    # the longest first, so that one value inside another leaves no rest
    return tuple(sorted((text for text in texts if len(text) >= SHORTEST_SECRET), key=len, reverse=True))


def _clean(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    # no database takes lone surrogates, PostgreSQL takes no NUL
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _texts(value: Any) -> Iterator[str]:
    """The value as text, and each text inside it."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))
    else:
        yield str(value)
