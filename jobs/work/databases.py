"""Django's database connections around a job: old ones closed, transactions that it left open rolled back.

Also tells whether a job failed because its thread could not connect at all, which is the worker's trouble and not the
job's.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Any

from django.db import Error as DatabaseFailure
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from ..broker.records import ClaimedJob
from ..conf import jobs_settings

logger = logging.getLogger("jobs.execution")

#: Seconds after which an atomic task on SQLite, which holds the only write lock, is warned about (DESIGN G3).
LONG_WRITE_LOCK = 1.0
_CONNECT = BaseDatabaseWrapper.connect.__wrapped__.__code__  # type: ignore[attr-defined]


class _OfThread(threading.local):
    """The connections of one thread; to ask Django for them twice a job takes a quarter of the engine's time."""

    def __init__(self) -> None:
        self.opened: list[BaseDatabaseWrapper] = list(connections.all(initialized_only=True))


_of_thread = _OfThread()
#: That the project's database could not be reached once: from then on a thread connects before its job starts.
_connect_first = threading.Event()


def look_before() -> dict[str, int]:
    """Close this thread's connections that broke or grew too old.

    Returns how many atomic blocks the caller has open, by alias: those connections are left alone.
    """
    callers: dict[str, int] = {}
    for connection in _of_thread.opened:
        if connection.in_atomic_block:
            callers[connection.alias] = len(connection.atomic_blocks)
        else:
            connection.close_if_unusable_or_obsolete()
    return callers


def look_after(job: ClaimedJob, callers: dict[str, int]) -> None:
    """Roll back what the task left open beside the caller's blocks, and close as before."""
    gone = False
    for connection in _of_thread.opened:
        if len(connection.atomic_blocks) > callers.get(connection.alias, 0) == 0:
            logger.error("transaction_left_open id=%s task=%s: rolled back", job.id, job.task)
            connection.close()
            with contextlib.suppress(DatabaseFailure), connection.wrap_database_errors:  # the next job tries again
                connection.connect()
        elif connection.in_atomic_block:
            continue
        elif connection.connection is None:
            gone = True
        elif not connection.autocommit:
            logger.error("transaction_left_open id=%s task=%s: rolled back", job.id, job.task)
            _roll_back(connection)
        connection.close_if_unusable_or_obsolete()
    if gone:
        _of_thread.opened = [connection for connection in _of_thread.opened if connection.connection is not None]


def _roll_back(connection: BaseDatabaseWrapper) -> None:
    try:
        connection.rollback()
        connection.set_autocommit(True)
    except DatabaseFailure:  # the task has broken it as well; how the job ended is none of its business
        connection.close()


def connect_first() -> DatabaseFailure | None:
    """Connect this thread, if threads of this process once could not; the error if it still cannot."""
    if not _connect_first.is_set():
        return None
    connection = connections[jobs_settings().database]
    if connection.connection is None:
        try:
            connection.ensure_connection()
        except DatabaseFailure as error:
            return error
    return None


def failure_to_connect(error: BaseException) -> DatabaseFailure | None:
    """The failure to connect to the project's database of which the error comes, if it does.

    Decided by where it was raised: its own text, and that of what it was raised in place of, say nothing for sure.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, DatabaseFailure) and _was_raised_connecting(cause):
            _connect_first.set()
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def warn_of_long_lock(job: ClaimedJob, seconds: float, alias: str) -> None:
    """Say so where an atomic task has held the only write lock for so many seconds."""
    if seconds > LONG_WRITE_LOCK and connections[alias].vendor == "sqlite":
        logger.warning(
            "long_write_lock id=%s task=%s seconds=%.1f: an atomic task holds SQLite's only write lock; "
            "call other services before it",
            job.id,
            job.task,
            seconds,
        )


def _was_raised_connecting(error: BaseException) -> bool:
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code is _CONNECT:
            connection = step.tb_frame.f_locals.get("self")
            return isinstance(connection, BaseDatabaseWrapper) and connection.alias == jobs_settings().database
        step = step.tb_next
    return False


def _note(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if not any(known is connection for known in _of_thread.opened):
        _of_thread.opened.append(connection)


connection_created.connect(_note, dispatch_uid="jobs.work.databases")
