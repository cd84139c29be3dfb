"""Where work comes from: the request that caused it, and its place in a trace; carried with a job beside its arguments.

Both are short texts of a few known characters. They stand at the end of a job's message, so every broker keeps them,
and code that does not know them leaves them alone.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import NamedTuple

import msgspec

#: A request id that is passed on: what proxies make, and nothing that could steer a log.
REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,64}\Z")
#: Where a request has its id.
META_KEY = "HTTP_X_REQUEST_ID"
_MARK = '"from":["'


class Origin(NamedTuple):
    """The id of the request that caused the work, and the W3C `traceparent` of what enqueued it; empty: none."""

    request_id: str = ""
    traceparent: str = ""


class _Head(msgspec.Struct):
    origin: list[str] = msgspec.field(name="from", default_factory=list)


NOWHERE = Origin()
_head = msgspec.json.Decoder(_Head)
_request_id: ContextVar[str] = ContextVar("jobs_request_id", default="")


def request_id() -> str:
    """The id of the request that caused what runs here: the request itself, or a job that it caused; empty: none."""
    return _request_id.get()


def set_request_id(id: str) -> None:
    """From now on this context works for the request of this id."""
    if _request_id.get() != id:
        _request_id.set(id)


def with_origin(message: str, origin: Origin) -> str:
    """The message with where it comes from."""
    if origin == NOWHERE or _MARK in message:
        return message
    return f'{message[:-1]},{_MARK}{origin.request_id}","{origin.traceparent}"]}}'


def origin_of(message: str) -> Origin:
    """What a message says of where it comes from."""
    if _MARK not in message:
        return NOWHERE
    try:
        found = _head.decode(message).origin
    except (msgspec.MsgspecError, RecursionError):  # an argument of that name, or nothing that anybody can read
        return NOWHERE
    known = len(found) == 2 and all(not text or REQUEST_ID.match(text) for text in found)
    return Origin(*found) if known else NOWHERE
