"""What a task returned: written as JSON, read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..errors import InvalidArguments
from . import sealing
from .message import encoder, said_of, short
from .values import TooWide, difference, is_plain, plain

#: The limit of DESIGN §9, in bytes of JSON.
MAX_RESULT = 64 * 1024
#: A space before a result's JSON says that the list was a tuple; every other reader of JSON passes over it.
_TUPLE = " "


def encode_result(name: str, value: Any, masked: Callable[[str], str] = str, *, sealed: bool = False) -> str | None:
    """The JSON text of what a task returned, or None for None; what it lets pass comes out of `decode_result` equal.

    Raises `InvalidArguments`, also above 64 KiB; `masked` is said to take personal data out of the error's texts.
    `sealed`: it is ciphertext, and the limit is one of that.
    """
    if value is None:
        return None
    is_tuple = type(value) is tuple
    parts = list(value) if is_tuple else value
    try:
        if is_plain(parts, MAX_RESULT):
            text, found = encoder.encode(parts), None
        else:
            text = encoder.encode(plain(parts, MAX_RESULT))
            found = difference(parts, msgspec.json.decode(text))
    except TooWide:
        raise InvalidArguments(_too_long(name, f"over {MAX_RESULT:,}")) from None
    except Exception as error:  # of the value itself too
        raise InvalidArguments(
            f"{name} returned {short(value, masked)}, which cannot be written as JSON: {said_of(error)}"
        ) from None
    if found is not None:
        where = masked(f" at {found[0]}") if found[0] else ""
        raise InvalidArguments(
            f"{name} returned {short(value, masked)}, of which{where} {found[1]}; "
            "return None, bool, int, float, str, lists and objects with str keys, or one tuple of them"
        )
    stored = f"{_TUPLE if is_tuple else ''}{text.decode()}"
    if sealed:
        stored = sealing.seal_result(stored)
    if (size := len(stored.encode())) > MAX_RESULT + is_tuple:
        raise InvalidArguments(_too_long(name, f"{size:,}"))
    return stored


def decode_result(text: str | None) -> Any:
    """What a task returned, as JSON values; a tuple comes out as one. Raises `CannotDecrypt`."""
    if text is not None and sealing.is_sealed_result(text):
        text = sealing.opened_result(text)
    value = None if text is None else msgspec.json.decode(text)
    return tuple(value) if isinstance(value, list) and text is not None and text.startswith(_TUPLE) else value


def _too_long(name: str, size: str) -> str:
    return f"{name} returned {size} bytes of JSON, the limit is {MAX_RESULT:,}; store it and return its id"
