"""Calls of other services, counted where the jobs are: how many, how they ended, and how long they took.

A worker process keeps what its jobs have called for a moment and writes it together, about twice a second; anybody else
writes at once. All is added up, so any number of processes may count.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import Error, connections, transaction

from .. import clock
from ..broker.database.rows import add_counts
from ..broker.tally import Tally
from ..conf import jobs_settings
from ..define.context import job_here
from ..errors import InvalidOption, PermanentError, RetryLater
from ..models import ProviderFailure

logger = logging.getLogger("jobs.provider")

#: In place of a queue's name, which is never empty.
CALLS = ""
#: How a call ends; refused and slowed are answers: the provider is there.
OK, REFUSED, SLOWED, FAILED = OUTCOMES = ("ok", "refused", "slowed", "failed")
Errors = tuple[type[Exception], ...]
_PROVIDER = re.compile(r"[a-z][a-z0-9_]{0,49}\Z")


@contextmanager
def provider_call(
    provider: str,
    *,
    slowed: Errors = (RetryLater,),
    refused: Errors = (PermanentError,),
    failed: Errors = (),
) -> Iterator[None]:
    """Count a call of another service, for `/metrics` and the admin's page of providers, and how long it took.

    It ended `ok`; or, by what it raises, `slowed` (told to come later), `refused` (the provider answered, and takes no
    such call) or `failed` (anything else, and what `failed` names though another one does too). `provider` is a name of
    the code, not of a customer: each becomes a series. Give a `Breaker` or a `Limit` of these calls the same name, and
    they stand on one line. A database that is away does not disturb the call. A call that is made in a transaction
    outside of a worker is not counted if that is rolled back. Raises `InvalidOption` for a name that is not of small
    letters, digits and `_`.
    """
    if not _PROVIDER.match(provider):
        raise InvalidOption(f"provider={provider!r}: expected a name like hubspot, of up to 50 letters, digits and '_'")
    began, outcome, error_type = clock.monotonic(), OK, ""
    try:
        yield
    except Exception as error:
        is_outage = isinstance(error, failed) or not isinstance(error, (*slowed, *refused))
        outcome = FAILED if is_outage else REFUSED if isinstance(error, refused) else SLOWED
        error_type = type(error).__name__
        raise
    except BaseException:  # the process ends, or the job is left: of the provider that says nothing
        outcome = ""
        raise
    finally:
        if outcome:
            _count(provider, outcome, error_type, round((clock.monotonic() - began) * 1_000))


def keep_calls() -> None:
    """From now on this process keeps what it counts until `write_calls`, which somebody calls every second or so."""
    global _is_kept
    _is_kept = True


def write_calls() -> None:
    """Write what is kept; where the database is away it stays kept."""
    global _kept
    with _lock:
        kept, _kept = _kept, _Kept()
    if not kept.tally:
        return
    try:
        _write(kept)
    except Error as error:
        logger.warning("calls_not_counted %s: tried again", type(error).__name__)
        with _lock:
            kept.add(_kept)
            _kept = kept


@dataclass(slots=True)
class _Failure:
    error_type: str
    at: datetime
    job_id: UUID | None


@dataclass(slots=True)
class _Kept:
    """What is not written yet: a few numbers a provider, however many calls there were."""

    tally: Tally = field(default_factory=Tally)
    failures: dict[str, _Failure] = field(default_factory=dict)

    def add(self, later: _Kept) -> None:
        self.tally.update(later.tally)
        self.failures.update(later.failures)


_lock = threading.Lock()
_is_kept = False
_kept = _Kept()


def _count(provider: str, outcome: str, error_type: str, milliseconds: int) -> None:
    one = _Kept()
    one.tally.add_start(provider, outcome, milliseconds, 0)
    if outcome == FAILED:
        job = job_here()
        one.failures[provider] = _Failure(error_type[:100], clock.now(), None if job is None else job.id)
    if _is_kept:
        with _lock:
            _kept.add(one)
        return
    try:
        _write(one)
    except Error as error:
        logger.warning("calls_not_counted provider=%s %s", provider, type(error).__name__)


def _write(kept: _Kept) -> None:
    alias = jobs_settings().database
    with transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            add_counts(cursor, connections[alias].vendor, CALLS, clock.now(), kept.tally)
        for provider, one in sorted(kept.failures.items()):
            values = {"error_type": one.error_type, "at": one.at, "job_id": one.job_id}
            ProviderFailure.objects.using(alias).update_or_create(provider=provider, defaults=values)
