"""The one way out over HTTP: never sleeps, never tries again; only the queue does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
import urllib3

from jobs import PermanentError, RetryLater

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 10.0
#: As much of an answer as is kept.
ANSWER_LIMIT = 2_000
DEFAULT_WAIT, LONGEST_WAIT = 30.0, 86_400.0
#: Refusals that another try may overcome.
_TEMPORARY = frozenset({408, 425})


class ProviderUnavailable(Exception):
    """The other side did not answer, or answered that it cannot now: the queue tries again."""


@dataclass(frozen=True)
class Answer:
    """What the other side said when it took what was sent."""

    status: int
    text: str


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST a body. Raises `RetryLater` on 429, `PermanentError` on another refusal, else `ProviderUnavailable`."""
    try:
        with requests.post(
            url,
            data=body,
            headers=dict(headers),
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            allow_redirects=False,
            stream=True,
        ) as response:
            text = _beginning(response)
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ) as error:
        raise PermanentError(f"the address cannot be used: {error}") from None
    except requests.RequestException as error:
        raise ProviderUnavailable(f"no answer: {type(error).__name__}") from error
    status = response.status_code
    if 200 <= status < 300:
        return Answer(status, text)
    if status == 429:
        raise RetryLater(retry_after(response.headers.get("Retry-After", "")), reason="answered 429: too many requests")
    if status >= 500 or status in _TEMPORARY:
        raise ProviderUnavailable(f"answered {status}: {text[:200]}")
    raise PermanentError(f"answered {status}: {text[:200]}")


def retry_after(value: str, now: datetime | None = None) -> float:
    """The seconds that a Retry-After header (RFC 9110: a number or a date) asks for, within reason."""
    try:
        seconds = float(int(value))
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - (now or datetime.now(UTC))).total_seconds()
        except (TypeError, ValueError):
            seconds = DEFAULT_WAIT
    return min(max(seconds, 1.0), LONGEST_WAIT)


def _beginning(response: requests.Response) -> str:
    try:
        # one read: an answer that drips must not hold the worker
        content = bytes(response.raw.read1(ANSWER_LIMIT, decode_content=True))
    except (urllib3.exceptions.HTTPError, OSError):
        return ""
    return content[:ANSWER_LIMIT].decode("utf-8", "replace").replace("\x00", "")
