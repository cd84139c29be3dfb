"""Word between the processes of one machine that there may be something to claim: datagrams without a content.

Whoever listens has a socket in a folder beside the database file, named after its queue; whoever has committed
something says a word to each of that queue. Those who may write the file may listen and speak, and nobody else. Word
that cannot be said or heard, for whatever reason, does no harm: workers look by themselves as well.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from .... import clock

logger = logging.getLogger("jobs.broker")

#: Bytes of a socket's address that every system takes.
LONGEST_ADDRESS = 103
#: Seconds after a word in which no other is passed on: a crowd of new jobs must not wake anybody for each.
BREATH = 0.002
_NO_WAIT = getattr(socket, "MSG_DONTWAIT", 0)


def folder_of(database: str) -> str:
    """Where those who work on the database file listen; an empty text where there is no file."""
    if database == ":memory:" or "mode=memory" in database:
        return ""
    if database.startswith("file:"):
        database = unquote(urlsplit(database).path)
    return f"{os.path.realpath(database)}-word" if database else ""


def tell(folder: str, queues: Collection[str]) -> None:
    """Say a word to all who listen for one of the queues. Never waits, never fails."""
    try:
        names = [name for name in os.listdir(folder) if name.partition(".")[0] in queues]
        if names and _is_trusted(folder):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth, _way_to(folder) as way:
                for name in names:
                    _say(mouth, way, name)
    except (OSError, AttributeError):
        # nobody ever listened here, or this system has no such sockets
        return


def _say(mouth: socket.socket, way: str, name: str) -> None:
    try:
        mouth.sendto(b"\0", _NO_WAIT, f"{way}/{name}")
    except ConnectionRefusedError:
        _remove(f"{way}/{name}")
    except OSError:
        # full: then enough was said; or just gone, or somebody else's
        return


class Ear:
    """The socket at which this process listens for word about one queue."""

    def __init__(self, folder: str, queue: str) -> None:
        """Raises `OSError` where no socket can be had."""
        self._pid = os.getpid()
        self._path = f"{folder}/{queue}.{self._pid}.{clock.new_id().hex[-8:]}"
        self._heard_at = 0.0
        rights = _make_folder(folder)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            with _way_to(folder) as way:
                self._socket.bind(f"{way}/{os.path.basename(self._path)}")
                _remove_the_dead(way)
            _give(self._path, rights.of_socket, rights.group)
        except BaseException:
            self.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    @property
    def is_in_place(self) -> bool:
        """Whether word can still reach it: somebody may have removed the socket."""
        return os.path.lexists(self._path)

    def hear(self, seconds: float) -> bool:
        """Wait at most so long for a word."""
        if not self._poll.poll(seconds * 1000):
            return False
        breath = self._heard_at + BREATH - clock.monotonic()
        if breath > 0:
            time.sleep(breath)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(1):
                pass
        self._heard_at = clock.monotonic()
        return True

    def close(self) -> None:
        """Listen no more. A process that inherited it leaves the socket itself to its owner."""
        self._socket.close()
        if os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


class Ears:
    """The ears of this process, by queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ears: dict[tuple[str, str], Ear] = {}
        self._is_deaf = False

    def hear(self, folder: str, queue: str, seconds: float) -> bool | None:
        """Wait at most so long for a word; None, at once: none can be heard. True as well when it begins to listen."""
        place = folder, queue
        ear = self._ears.get(place)
        try:
            if ear is not None and ear.is_in_place:
                return ear.hear(seconds)
            with self._lock:
                self._forget(place)
                ear = None
                self._ears[place] = Ear(folder, queue)
            self._is_deaf = False
            return True
        except (OSError, ValueError, AttributeError) as error:
            if ear is not None and self._ears.get(place) is not ear:
                return None  # it was closed meanwhile
            with self._lock:
                self._forget(place)
            if not self._is_deaf:
                self._is_deaf = True
                logger.warning("no_word folder=%s %s: %s; polling", folder, type(error).__name__, error)
            return None

    def close(self) -> None:
        """Listen no more."""
        with self._lock:
            for place in list(self._ears):
                self._forget(place)

    def leave_to_parent(self) -> None:
        """In a forked child: close the copies, and leave the sockets to the parent."""
        self._lock = threading.Lock()
        for place in list(self._ears):
            self._forget(place)

    def _forget(self, place: tuple[str, str]) -> None:
        if ear := self._ears.pop(place, None):
            ear.close()


@dataclass(frozen=True, slots=True)
class _Rights:
    """What the folder and its sockets allow: speaking and listening, to those who may write the database file."""

    of_folder: int
    of_socket: int
    group: int


def _make_folder(folder: str) -> _Rights:
    database = os.stat(folder.removesuffix("-word"))
    writes = database.st_mode & 0o222 | 0o200
    rights = _Rights(writes << 1 | writes | writes >> 1, writes << 1 | writes, database.st_gid)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if not _is_trusted(folder):
        raise PermissionError(f"{folder} is not a folder of one who may be trusted: remove it")
    if os.stat(folder).st_uid == os.geteuid():
        _give(folder, rights.of_folder, rights.group)
    return rights


def _give(path: str, mode: int, group: int) -> None:
    """Set the rights; those of the group only where it is the database file's group."""
    if os.stat(path).st_gid != group:
        try:
            os.chown(path, -1, group)
        except OSError:
            mode &= ~0o070
    os.chmod(path, mode)


def _is_trusted(folder: str) -> bool:
    """Whether the folder is its maker's own: in a place like /tmp, anybody can put one where ours would be."""
    found, place = os.lstat(folder), os.stat(os.path.dirname(folder))
    if not stat.S_ISDIR(found.st_mode):
        return False
    if not place.st_mode & stat.S_ISVTX:
        return True
    return found.st_uid in (0, os.geteuid(), os.stat(folder.removesuffix("-word")).st_uid)


@contextmanager
def _way_to(folder: str) -> Iterator[str]:
    """The folder by a path that leaves room for a socket's name: addresses are short, where Linux has a way around."""
    if len(os.fsencode(folder)) + 70 <= LONGEST_ADDRESS:
        yield folder
        return
    way = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{way}"
    finally:
        os.close(way)


def _remove_the_dead(way: str) -> None:
    """Remove what processes left that were killed."""
    for name in os.listdir(way):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
            try:
                mouth.connect(f"{way}/{name}")
            except ConnectionRefusedError:
                _remove(f"{way}/{name}")
            except OSError:
                continue


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
