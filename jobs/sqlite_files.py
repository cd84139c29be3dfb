"""Which file a SQLite connection works on: a restore may put another one in its place, and nobody hears of it.

Then the connection goes on with the deleted file. So what was opened is compared with what the path leads to. SQLite
would read the write-ahead log that the deleted file has left behind into the new one: it is removed first.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape, glob
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

SIDES = ("-wal", "-shm")
Identity = tuple[int, int]


def is_in_memory(name: str) -> bool:
    """Whether a database of this name is in no file."""
    return name == ":memory:" or "mode=memory" in name


def path_of(name: str) -> str:
    """The path of a database's name, which may be an address (`file:…?…`)."""
    return unquote(urlsplit(name).path) if name.startswith("file:") else name


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A database file as it was when it was opened, with the files that SQLite keeps beside it."""

    path: str
    identity: Identity | None
    sides: Mapping[str, Identity | None]

    @classmethod
    def of(cls, connection: sqlite3.Connection, path: str) -> OpenedFile:
        """What this connection has just opened at the path."""
        # the first look opens what stands beside the file; if somebody locks it, there is nothing to note
        with contextlib.suppress(sqlite3.Error):
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        _paths.add(path)
        return cls(path, _identity(path), {side: _identity(path + side) for side in SIDES})

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to it."""
        return _identity(self.path) == self.identity

    @property
    def is_replaced(self) -> bool:
        """Whether the path leads to another file by now."""
        return _identity(self.path) not in (self.identity, None)

    def remove_what_it_left(self) -> None:
        """Remove the files beside it that the replaced or deleted file has left; those of a new one stay."""
        with contextlib.suppress(OSError), _alone_in(os.path.dirname(os.path.abspath(self.path))):
            for side, identity in self.sides.items():
                if identity is not None and _identity(self.path + side) == identity:
                    os.unlink(self.path + side)


#: Every path at which this process has opened a database.
_paths: set[str] = set()
_of_django: WeakKeyDictionary[BaseDatabaseWrapper, OpenedFile] = WeakKeyDictionary()
_lock = threading.Lock()


def note_opened(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Note which file Django's connection has opened: a receiver of `connection_created`."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and not is_in_memory(name):
        with _lock:
            _of_django[connection] = OpenedFile.of(connection.connection, path_of(name))


def notice_replaced() -> bool:
    """Let each of Django's connections of this process whose file was replaced be obsolete; whether one is."""
    with _lock:
        opened = [(one, file) for one, file in _of_django.items() if one.connection is not None]
    replaced = [(connection, file) for connection, file in opened if file.is_replaced]
    for connection, file in replaced:
        # first, while the old file is open: the number of what it left cannot be another's
        file.remove_what_it_left()
        # its own thread closes it at its next look
        connection.close_at = 0
    return bool(replaced)


def remove_orphans() -> None:
    """Remove what stands beside databases that are no more, as those of a test run and its copies for each process.

    SQLite would read it into the next database of this name that is made by copying another.
    """
    for path in _paths:
        root, extension = os.path.splitext(path)
        for beside in [path, *glob(f"{escape(root)}_*{escape(extension)}-wal")]:
            database = beside.removesuffix("-wal")
            if not os.path.exists(path) and not os.path.exists(database):
                for side in SIDES:
                    with contextlib.suppress(OSError):
                        os.unlink(database + side)


atexit.register(remove_orphans)


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _alone_in(folder: str) -> Any:
    """Nobody else removes files here meanwhile; a lock on the database itself would undo SQLite's."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
