"""How the broker reaches SQLite: by one connection of its own for each process, or by Django's.

Its own connection does the workers' traffic and need not sync each commit (WAL with synchronous=NORMAL survives the
death of any process). What people ask for goes through Django's connection, which syncs. A thread whose Django
connection is in a transaction does everything there: it alone may hold the write lock, and only it sees its rows.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ... import clock
from ...sqlite_files import OpenedFile, is_in_memory, notice_replaced, path_of
from ...states import State
from ..records import NewJob
from . import rows
from .hints import tell_after_commit
from .sqlite.word import Ears, folder_of, tell
from .statements import load_statements
from .values import text_of

logger = logging.getLogger("jobs.broker")

#: How long to wait for SQLite's write lock, in seconds; the busy handler is unfair, so a short wait would fail in vain.
LOCK_TIMEOUT = 20.0
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA foreign_keys=OFF",
)
_all_of_this_process: weakref.WeakSet[Forkable] = weakref.WeakSet()
#: How long a fork waits for the end of a transaction, in seconds.
FORK_PATIENCE = 0.2
_held_still: dict[int, list[Forkable]] = {}
#: Connections inherited over fork: to close them here could harm the parent's files and sessions.
_inherited: list[object] = []


class Forkable(ABC):
    """Has connections that a forked child must leave to its parent."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _all_of_this_process.add(self)

    @abstractmethod
    def _connections(self) -> Iterable[object]:
        """The connections that are open."""

    @abstractmethod
    def _forget_connections(self) -> None:
        """Let go of them without closing them."""

    def leave_to_parent(self) -> None:
        """Forget the connections without closing them."""
        self._lock = threading.RLock()
        _inherited.extend(self._connections())
        self._forget_connections()


class Trip:
    """One transaction, or one plain look, on the jobs' database. `now` was read once the lock was held."""

    __slots__ = ("_counts", "_cursor", "_now", "_statements", "_vendor", "told", "waited")

    def __init__(self, cursor: rows.Cursor, vendor: str, waited: float = 0.0) -> None:
        self._now: datetime | None = clock.now()
        self.waited = waited
        self._cursor = cursor
        self._vendor = vendor
        self._statements: Mapping[str, str] = load_statements(vendor)
        self._counts: dict[str, dict[str, int]] = {}
        self.told: set[str] = set()  # the queues whose sleeping workers shall look once this is committed

    @property
    def now(self) -> datetime:
        """The moment of this trip, by the database's clock."""
        return self._now or self.read_clock()

    @property
    def text_now(self) -> str:
        """`now` for a statement."""
        return text_of(self.now)

    def read_clock(self) -> datetime:
        """The database's time as it is now; for SQLite the machine's."""
        return clock.now()

    def lock_job(self, job_id: UUID) -> None:
        """Let nobody else change the job until the end of this transaction; SQLite has one lock for everything."""

    def lock_worker(self, worker: UUID) -> list[Any]:
        """The process's row, whose lease nobody ends or renews until the end of this transaction."""
        return self.run("read_worker", worker=worker.hex, now=self.text_now)

    def parameter(self, moment: datetime) -> Any:
        """A moment to compare a column with."""
        return text_of(moment)

    def run(self, statement: str, **values: Any) -> list[Any]:
        """Run one SQL file and return all its rows."""
        self._cursor.execute(self._statements[statement], values)
        return self._cursor.fetchall()

    def run_each(self, statement: str, values: Iterable[Mapping[str, Any]]) -> None:
        """Run one SQL file for each set of values."""
        self._cursor.executemany(self._statements[statement], list(values))

    def insert(self, job: NewJob) -> bool:
        """Insert a queued job; False: its id or its key is taken."""
        return rows.insert_row_unless_taken(self._cursor, self._vendor, rows.job_values(job, State.QUEUED, self.now))

    def insert_all(self, jobs: Sequence[NewJob]) -> set[UUID]:
        """Insert queued jobs; returns which: the others' id or key is taken."""
        return {job.id for job in jobs if self.insert(job)}

    def lock_keys(self, jobs: Iterable[NewJob]) -> None:
        """Let nobody else give these jobs' keys away until the end of this transaction."""

    def count(self, queue: str, **numbers: int) -> None:
        """Add to the queue's counters; written by `write_counts`."""
        sums = self._counts.setdefault(queue, {})
        for name, number in numbers.items():
            sums[name] = sums.get(name, 0) + number

    def write_counts(self) -> None:
        """Write what `count` gathered, one row a queue."""
        for queue, sums in sorted(self._counts.items()):
            rows.add_counts(self._cursor, self._vendor, queue, self.now, sums)
        self._counts.clear()


class JobsDatabase(Protocol):
    """The database that holds the jobs, and the ways to it.

    `broken` counts the connections that were found broken; the next trip opens another.
    """

    broken: int

    @property
    def in_callers_transaction(self) -> bool:
        """Whether this thread is in a transaction of Django's connection."""

    @property
    def django(self) -> BaseDatabaseWrapper:
        """Django's connection of this thread."""

    def write(self) -> AbstractContextManager[Trip]:
        """A transaction of the workers' traffic."""

    def write_synced(self) -> AbstractContextManager[Trip]:
        """A transaction of what people ask for, on Django's connection: part of the caller's, if there is one."""

    def on_django(self) -> AbstractContextManager[Trip]:
        """One statement that commits by itself, on Django's connection."""

    def read(self) -> AbstractContextManager[Trip]:
        """A plain look, without a transaction: each statement sees what is committed by then."""

    def tell(self, queues: set[str]) -> None:
        """Let sleeping workers of these queues look: now, or once the caller's transaction commits."""

    def listen(self, queue: str, seconds: float) -> bool | None:
        """Wait for a hint; None: none can be heard for now."""

    def close(self) -> None:
        """Close the broker's own connections."""


class SqliteDatabase(Forkable):
    """A SQLite file."""

    broken = 0

    def __init__(self, alias: str) -> None:
        super().__init__()
        self._alias = alias
        self._own: sqlite3.Connection | None = None
        self._own_name = ""
        self._own_file: OpenedFile | None = None
        self._folder = ("", "")  # where word is said about the database of this name
        self._ears = Ears()

    @property
    def django(self) -> BaseDatabaseWrapper:
        """Django's connection of this thread."""
        return connections[self._alias]

    @contextmanager
    def write(self) -> Iterator[Trip]:
        """A transaction of the workers' traffic."""
        if self._must_use_django():
            with self.write_synced() as trip:
                yield trip
            return
        with self.django.wrap_database_errors, self._lock:
            connection = self._open()
            begun = clock.monotonic()
            connection.execute("BEGIN IMMEDIATE")
            try:
                trip = Trip(connection.cursor(), "sqlite", clock.monotonic() - begun)
                yield trip
                trip.write_counts()
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise
        self.tell(trip.told)

    @contextmanager
    def write_synced(self) -> Iterator[Trip]:
        """A transaction of what people ask for, on Django's connection: part of the caller's, if there is one."""
        with rows.block(self.django), self.django.cursor() as cursor:
            trip = Trip(cursor, self.django.vendor)
            yield trip
            trip.write_counts()
        self.tell(trip.told)

    @contextmanager
    def on_django(self) -> Iterator[Trip]:
        """One statement that commits by itself, on Django's connection."""
        with self.django.cursor() as cursor:
            trip = Trip(cursor, "sqlite")
            yield trip
        self.tell(trip.told)

    @contextmanager
    def read(self) -> Iterator[Trip]:
        """A plain look, without a transaction: each statement sees what is committed by then."""
        if self._must_use_django():
            with self.django.cursor() as cursor:
                yield Trip(cursor, self.django.vendor)
            return
        with self.django.wrap_database_errors, self._lock:
            yield Trip(self._open().cursor(), "sqlite")

    def close(self) -> None:
        """Close the broker's own connection, and listen no more."""
        with self._lock:
            if self._own is not None:
                self._own.close()
                self._own = None
        self._ears.close()

    def tell(self, queues: set[str]) -> None:
        """Let sleeping workers of these queues look: now, or once the caller's transaction commits."""
        if queues:
            django = self.django
            tell_after_commit(django, queues, partial(self._say, self._word_folder(django)))

    def listen(self, queue: str, seconds: float) -> bool | None:
        """Wait for a word about the queue; None: none can be heard. Only one thread of a process may listen."""
        folder = self._word_folder(self.django)
        return self._ears.hear(folder, queue, seconds) if folder else None

    def _say(self, folder: str, queues: Collection[str]) -> None:
        if folder:
            tell(folder, queues)

    def _word_folder(self, django: BaseDatabaseWrapper) -> str:
        name = str(django.settings_dict["NAME"])
        if self._folder[0] != name:
            self._folder = name, folder_of(name)
        return self._folder[1]

    @property
    def in_callers_transaction(self) -> bool:
        """Whether this thread is in a transaction of Django's connection."""
        django = self.django
        return django.in_atomic_block or (django.connection is not None and not django.autocommit)

    def _must_use_django(self) -> bool:
        # between connections an in-memory database locks whole tables and does not wait
        return self.in_callers_transaction or is_in_memory(str(self.django.settings_dict["NAME"]))

    def _open(self) -> sqlite3.Connection:
        name = str(self.django.settings_dict["NAME"])
        if self._own is not None and self._own_name != name:
            self.close()
        if self._own is not None and self._own_file is not None:
            self._look_at(self._own_file)
        if self._own is None:
            connection = sqlite3.connect(
                name,
                timeout=LOCK_TIMEOUT,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
                uri=True,
            )
            try:
                for pragma in _PRAGMAS:
                    connection.execute(pragma).fetchall()
            except BaseException:
                connection.close()
                raise
            self._own, self._own_name = connection, name
            self._own_file = OpenedFile.of(connection, path_of(name))
        return self._own

    def _look_at(self, file: OpenedFile) -> None:
        """Go over to another file that was put in this one's place; without any there is nothing to work on."""
        if file.is_there:
            return
        if file.is_replaced:
            # first, while the old file is open: the number of what it left cannot be another's
            file.remove_what_it_left()
            self.close()
            notice_replaced()
            logger.warning("database_replaced path=%s: working on the new file", file.path)
        else:
            raise sqlite3.OperationalError(f"the database file {file.path} is gone: put it back")

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()

    def _connections(self) -> Iterable[object]:
        return [self._own] if self._own is not None else []

    def _forget_connections(self) -> None:
        self._own = None
        self._ears.leave_to_parent()


def _hold_still() -> None:
    """Fork between two transactions: SQLite would believe for ever that the child holds the locks of one."""
    for database in list(_all_of_this_process):
        # not for long: what is in the way may wait for a lock that the forking thread itself holds
        if database._lock.acquire(timeout=FORK_PATIENCE):
            _held_still.setdefault(threading.get_ident(), []).append(database)


def _go_on() -> None:
    for database in _held_still.pop(threading.get_ident(), []):
        database._lock.release()


def _leave_all_to_parent() -> None:
    _held_still.clear()
    for database in list(_all_of_this_process):
        database.leave_to_parent()


os.register_at_fork(before=_hold_still, after_in_parent=_go_on, after_in_child=_leave_all_to_parent)
