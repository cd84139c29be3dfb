"""Calls of other services, counted where the jobs are: how many, how they ended, and how long they took."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, connections, transaction

from .. import clock
from ..broker.database.rows import add_counts
from ..broker.tally import Tally
from ..conf import jobs_settings
from ..errors import InvalidOption, RetryLater

logger = logging.getLogger(__name__)

#: In place of a queue's name, which is never empty.
CALLS = ""
OK, FAILED, SLOWED = "ok", "failed", "slowed"
_SERVICE = re.compile(r"[a-z][a-z0-9_]{0,49}\Z")


@contextmanager
def counted_call(service: str) -> Iterator[None]:
    """Count a call of another service for `/metrics`: `ok`, `slowed` where it raises `RetryLater`, else `failed`.

    `service` is a name of the code, not of a customer: each becomes a series. In a transaction that is rolled back the
    call is not counted; a database that is away does not disturb the call. Raises `InvalidOption` for a name that is
    not of small letters, digits and `_`.
    """
    if not _SERVICE.match(service):
        raise InvalidOption(f"service={service!r}: expected a name like hubspot, of up to 50 letters, digits and '_'")
    began, outcome = clock.monotonic(), FAILED
    try:
        yield
        outcome = OK
    except RetryLater:
        outcome = SLOWED
        raise
    finally:
        _count(service, outcome, round((clock.monotonic() - began) * 1_000))


def _count(service: str, outcome: str, milliseconds: int) -> None:
    tally = Tally()
    tally.add_start(service, outcome, milliseconds, 0)
    alias = jobs_settings().database
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            add_counts(cursor, connections[alias].vendor, CALLS, clock.now(), tally)
    except Error as error:
        logger.warning("call_not_counted service=%s %s", service, type(error).__name__)
