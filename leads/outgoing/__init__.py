"""The one way out over HTTP to an address that a customer names: public addresses, one deadline, never a redirect.

Never sleeps, never tries again; only the queue does.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from jobs import PermanentError, RetryLater

from .addresses import UnusableAddress, target_of
from .connection import Connection

__all__ = ["Answer", "ProviderUnavailable", "TooSlow", "UnusableAddress", "post", "retry_after", "target_of"]

#: Seconds for all of it: look-up, connection, TLS, request and answer. It is what one address can hold a thread for.
TOTAL_TIME = 10.0
#: Seconds of that for the text of an answer whose status is known.
TEXT_TIME = 2.0
#: Characters of an answer that are kept, and the bytes that may be read for them.
EXCERPT = 200
_EXCERPT_BYTES = 2_000
#: What is shown of an answer is what was written for people or programs to read, not somebody's page.
_SHOWN = frozenset({"text/plain", "application/json", "application/problem+json"})
DEFAULT_WAIT, LONGEST_WAIT = 30.0, 86_400.0
#: Refusals that another try may overcome.
_TEMPORARY = frozenset({408, 425})


class ProviderUnavailable(Exception):
    """The other side did not answer, or answered that it cannot now: the queue tries again."""


class TooSlow(ProviderUnavailable):
    """The other side took all the time there is."""


@dataclass(frozen=True)
class Answer:
    """What the other side said when it took what was sent: its status, and a short excerpt of its text."""

    status: int
    text: str


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST a body; takes `TOTAL_TIME` at most, whatever the other side does.

    Raises `RetryLater` on 429, `PermanentError` on another refusal and for an address that may not be reached,
    `TooSlow` when the time is over, else `ProviderUnavailable`.
    """
    try:
        with Connection(target_of(url), TOTAL_TIME) as connection:
            response = connection.post(body, headers)
            text = _excerpt(connection, response)
    except UnusableAddress as error:
        raise PermanentError(f"the address cannot be used: {error}") from None
    except TimeoutError:
        raise TooSlow("no answer in time") from None
    except (http.client.HTTPException, OSError) as error:
        raise ProviderUnavailable(f"no answer: {type(error).__name__}") from error
    status = response.status
    if 200 <= status < 300:
        return Answer(status, text)
    if status == 429:
        raise RetryLater(retry_after(response.headers.get("Retry-After", "")), reason="answered 429: too many requests")
    if status >= 500 or status in _TEMPORARY:
        raise ProviderUnavailable(f"answered {status}: {text}")
    raise PermanentError(f"answered {status}: {text}")


def retry_after(value: str, now: datetime | None = None) -> float:
    """The seconds that a Retry-After header (RFC 9110: a number or a date) asks for, within reason."""
    value = value.strip()
    if re.fullmatch(r"-?[0-9]+", value):
        # a number too long to be one is a long wait all the same
        seconds = float(value) if len(value) < 10 else -1.0 if value[0] == "-" else LONGEST_WAIT
    else:
        try:
            seconds = (parsedate_to_datetime(value) - (now or datetime.now(UTC))).total_seconds()
        except (TypeError, ValueError, OverflowError, IndexError):
            seconds = DEFAULT_WAIT
    return min(max(seconds, 1.0), LONGEST_WAIT)


def _excerpt(connection: Connection, response: http.client.HTTPResponse) -> str:
    if response.headers.get_content_type() not in _SHOWN or response.headers.get("Content-Encoding"):
        return ""
    connection.shorten(TEXT_TIME)
    try:
        # one read: what drips is not worth the wait
        content = response.read1(_EXCERPT_BYTES)
    except (http.client.HTTPException, OSError, ValueError):
        return ""
    text = content.decode("utf-8", "replace")
    return "".join(one if one.isprintable() else " " for one in text).strip()[:EXCERPT]
