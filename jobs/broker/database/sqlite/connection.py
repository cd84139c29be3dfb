"""How the broker reaches SQLite: by one connection of its own for each process, or by Django's.

Its own connection does the workers' traffic and need not sync each commit (WAL with synchronous=NORMAL survives the
death of any process). What people ask for goes through Django's connection, which syncs. A thread whose Django
connection is in a transaction does everything there: it alone may hold the write lock, and only it sees its rows.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ....sqlite_files import OpenedFile, is_in_memory, notice_replaced, path_of
from .. import rows
from ..connection import Forkable, Trip
from ..hints import tell_after_commit
from .word import Ears, folder_of, tell

logger = logging.getLogger("jobs.broker")

#: How long to wait for SQLite's write lock, in seconds; the busy handler is unfair, so a short wait would fail in vain.
LOCK_TIMEOUT = 20.0
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA foreign_keys=OFF",
)


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
        django = self.django
        if _must_use(django):
            with self.write_synced() as trip:
                yield trip
            return
        with django.wrap_database_errors, self._lock:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                trip = Trip(connection.cursor(), "sqlite")
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
        django = self.django
        if _must_use(django):
            with django.cursor() as cursor:
                yield Trip(cursor, "sqlite")
            return
        with django.wrap_database_errors, self._lock:
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
        return _is_in_transaction(self.django)

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


def _must_use(django: BaseDatabaseWrapper) -> bool:
    # between connections an in-memory database locks whole tables and does not wait
    return _is_in_transaction(django) or is_in_memory(str(django.settings_dict["NAME"]))


def _is_in_transaction(django: BaseDatabaseWrapper) -> bool:
    return django.in_atomic_block or (django.connection is not None and not django.autocommit)
