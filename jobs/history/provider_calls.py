"""Calls of other services, counted where the jobs are: how many, how they ended, and how long they took.

A worker process keeps what its jobs have called for a moment, and a thread writes it together, about twice a second; so
does whoever calls from an event loop, which must not wait for a database. Anybody else writes at once, or behind the
commit. All is added up, so any number of processes may count.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connections, transaction

from .. import clock
from ..broker.database.rows import add_counts
from ..broker.tally import Tally
from ..conf import jobs_settings
from ..connections import close_obsolete_connections, opened_by_caller
from ..define.context import job_here
from ..errors import InvalidOption, PermanentError, RetryLater
from ..models import ProviderFailure

logger = logging.getLogger("jobs.provider")

#: In place of a queue's name, which is never empty.
CALLS = ""
#: How a call ends; refused and slowed are answers: the provider is there.
OK, REFUSED, SLOWED, FAILED = OUTCOMES = ("ok", "refused", "slowed", "failed")
Errors = tuple[type[Exception], ...]
#: Seconds between two writes of what is kept, and until an idle thread ends with its connection.
EVERY, IDLE = 0.5, 10.0
#: Seconds that the end of a process waits for the last write.
LAST_WRITE = 1.0
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
    """From now on this process keeps what it counts for a moment, whoever calls, and a thread of its own writes it."""
    global _is_kept
    _is_kept = True


def write_calls() -> bool:
    """Write what is kept; where the database is away it stays kept. Returns whether there was something."""
    global _kept, _failed
    with _lock:
        kept, _kept = _kept, _Kept()
    if not kept.tally:
        return False
    try:
        _write(kept)
        _failed = False
    except Exception as error:  # nobody's job is to fail by it, nor this thread to end
        if not _failed:
            logger.warning("calls_not_counted %s: tried again", type(error).__name__)
        _failed = True
        with _lock:
            kept.add(_kept)
            _kept = kept
    return True


def finish_calls(timeout: float = LAST_WRITE) -> None:
    """Write what is left, for `timeout` seconds at most, and end the thread."""
    thread = _writer
    if thread is not None:
        _ending.set()
        thread.join(timeout)


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
_ending = threading.Event()
_is_kept = _failed = False
_kept = _Kept()
_writer: threading.Thread | None = None


def _count(provider: str, outcome: str, error_type: str, milliseconds: int) -> None:
    """Never raises: the call is over, and what became of it is the caller's."""
    try:
        one = _Kept()
        one.tally.add_start(provider, outcome, milliseconds, 0)
        if outcome == FAILED:
            job = job_here()
            one.failures[provider] = _Failure(error_type[:100], clock.now(), None if job is None else job.id)
        if _is_kept or _in_event_loop():
            _keep(one)
            return
        connection = connections[jobs_settings().database]
        if connection.in_atomic_block and opened_by_caller(connection):
            # not within it: who is counted there holds up all others until it ends
            transaction.on_commit(lambda: _write_at_once(one), using=connection.alias, robust=True)
        else:
            _write_at_once(one)
    except Exception as error:
        logger.warning("calls_not_counted provider=%s %s", provider, type(error).__name__)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _keep(one: _Kept) -> None:
    global _writer
    with _lock:
        _kept.add(one)
        if _writer is None:
            _ending.clear()
            _writer = threading.Thread(target=_write_kept, name="jobs-calls", daemon=True)
            _writer.start()


def _write_kept() -> None:
    """The thread's life: until it is ended, or nobody has called for a while."""
    global _writer
    idle, ended = 0.0, False
    try:
        while not ended:
            ended = _ending.wait(EVERY)
            close_obsolete_connections()
            idle = 0.0 if write_calls() else idle + EVERY
            with _lock:
                if ended or (idle >= IDLE and not _kept.tally):
                    _writer, ended = None, True
    finally:
        connections.close_all()
        with _lock:
            if _writer is threading.current_thread():
                _writer = None


def _write_at_once(one: _Kept) -> None:
    try:
        _write(one)
    except Exception as error:
        logger.warning("calls_not_counted %s", type(error).__name__)


def _write(kept: _Kept) -> None:
    alias = jobs_settings().database
    with transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            add_counts(cursor, connections[alias].vendor, CALLS, clock.now(), kept.tally)
        for provider, one in sorted(kept.failures.items()):
            values = {"error_type": one.error_type, "at": one.at, "job_id": one.job_id}
            ProviderFailure.objects.using(alias).update_or_create(provider=provider, defaults=values)


def _after_fork() -> None:
    """A forked child counts for itself: what its parent keeps is the parent's, as are the thread and the lock."""
    global _lock, _ending, _is_kept, _failed, _kept, _writer
    _lock, _ending, _kept, _writer = threading.Lock(), threading.Event(), _Kept(), None
    _is_kept = _failed = False


os.register_at_fork(after_in_child=_after_fork)
atexit.register(finish_calls)
