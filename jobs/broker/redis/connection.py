"""The way to a Redis server: connections that are kept, one error where the server cannot do what was asked."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis import exceptions
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.retry import Retry

from ...errors import BrokerAway
from .address import read_address
from .packing import Word, pack_command
from .sentinel import Sentinels

logger = logging.getLogger("jobs.broker")

#: Seconds to connect, and to wait for an answer: an enqueue of a web page waits for both.
TIMEOUT = 1.0
#: What the scripts need (LPOP with a count, ZRANGE by lexical order, XTRIM MINID).
OLDEST = (6, 2)
#: So many letters of the name of a server's run tell it from every other one.
RUN_LETTERS = 16


#: What a server says that is not the primary, or is it no more.
_OF_NO_PRIMARY = ("READONLY", "ReadOnlyError", "MASTERDOWN", "UNBLOCKED")
#: Versions of servers with a fault that a client may meet that waits for a word: from, mended in, what it is.
_FAULTS = (
    ("Redis", (7, 2, 0), (7, 2, 16), "clients that wait on one key, redis/redis#15562"),
    ("Redis", (7, 4, 0), (7, 4, 6), "clients that wait without end, redis/redis#14165"),
    ("Redis", (8, 0, 0), (8, 6, 3), "CVE-2026-23479, clients that wait"),
    ("Valkey", (8, 0, 0), (8, 0, 8), "CVE-2026-23479, clients that wait"),
)
_MEANINGS = {
    "DB index is out of range": "{address} names a database number that this Redis server does not have",
    "invalid DB index": "{address} names a database number that this Redis server does not have",
    "NoPermissionError": "the Redis user of {address} may not do this",
    "READONLY": "this Redis server has become a read-only replica",
    "ReadOnlyError": "this Redis server has become a read-only replica",
    "OOM command not allowed": "Redis is full (maxmemory) and takes no new jobs",
    "OutOfMemoryError": "Redis is full (maxmemory) and takes no new jobs",
    "MISCONF": "Redis cannot write to its disk and takes nothing",
    "BUSY": "Redis is busy with a script",
    "MASTERDOWN": "this Redis server has lost its primary",
    "UNBLOCKED": "this Redis server has become a read-only replica",
    "NOREPLICAS": "Redis has too few replicas to take anything",
}


class RedisServer:
    """One server by its URL. A call borrows a connection and gives it back; a broken one is never used again.

    `greet` is called with each new connection, and may raise `BrokerAway`.
    """

    def __init__(self, url: str, protocol: int, greet: Callable[[Connection], None]) -> None:
        self._greet = greet
        address = read_address(url)
        self._address = str(address)
        self._connect: Any = address.connect
        # said in full, since the client's own defaults change from version to version: it repeats nothing by itself
        ours: dict[str, Any] = {
            "protocol": int(address.options.get("protocol", protocol)),
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "socket_keepalive": True,
            "health_check_interval": 0,
            "decode_responses": False,
            "driver_info": None,
        }
        if self._connect.__name__ == "UnixDomainSocketConnection":
            del ours["socket_keepalive"]
        self._options: dict[str, Any] = {**address.options, **ours}
        self._sentinels: Sentinels | None = None
        if address.sentinels:
            ask = {**(address.ask or {}), **ours}
            self._sentinels = Sentinels(address.connect, ask, address.service, address.sentinels)
        self._has_warned = False
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def call(self, *command: Word, signed: bool = False) -> Any:
        """Send one command and return its answer; the caller turns errors into `BrokerAway` by `reaching`.

        With `signed` its last word is the run of the server that it is sent to: see `run_of`.

        Sent again, once, when a connection turns out to be broken that was kept from an earlier call: the server was
        restarted since, or cut it. A script that runs twice so does no harm (see the contract).
        """
        while True:
            connection, is_kept = self._borrow()
            try:
                words = (*command, run_of(connection)) if signed else command
                connection.send_packed_command([pack_command(*words)])
                answer = connection.read_response()
            except exceptions.ResponseError as error:
                if _is_of_no_primary(error):
                    # another server is the primary now, or is soon: all who hold this one look for it
                    connection.disconnect()
                    self.close()
                else:
                    self._give_back(connection)
                raise
            except (exceptions.ConnectionError, OSError):
                connection.disconnect()
                if not is_kept:
                    raise
                self.close()
            except exceptions.TimeoutError:
                # it hangs, or its host is gone: each kept connection would cost this time again
                connection.disconnect()
                self.close()
                raise
            except BaseException:
                # an answer may still be under way: the next one to read would take it for its own
                connection.disconnect()
                raise
            else:
                self._give_back(connection)
                return answer

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Turn the client's errors into `BrokerAway`; what it says names the address, without the password."""
        try:
            yield
        except exceptions.AuthenticationError as error:
            text = f"Redis refuses the user or the password of {self._address}: {_one_line(error)}"
            raise BrokerAway(text, undone=True) from error
        except exceptions.BusyLoadingError as error:
            raise BrokerAway(f"Redis is still loading its data: {_one_line(error)}", undone=True) from error
        except exceptions.ResponseError as error:
            if (said := _meaning(error)) is None:
                raise
            raise BrokerAway(f"{said.format(address=self._address)}: {_one_line(error)}", undone=True) from error
        except (exceptions.RedisError, OSError) as error:
            raise BrokerAway(f"Redis cannot be reached at {self._address}: {_one_line(error)}") from error

    def maxmemory(self) -> int:
        """How many bytes the server may hold; 0: as many as there are, or it keeps that to itself."""
        with self.reaching():
            try:
                return int(_fields(self.call("INFO", "memory")).get("maxmemory", 0))
            except exceptions.NoPermissionError:
                return 0

    def open(self) -> Connection:
        """A connection for the caller alone; raises `BrokerAway` with one sentence if the server will not do."""
        connection: Connection = self._connect(**self._options, **self._place())
        try:
            with self.reaching():
                connection.connect()
                fields = _read_info(connection)
                check_server(fields)
                self._warn_of(fields)
                connection.__dict__["server_run"] = fields.get("run_id", "")[:RUN_LETTERS]
                self._greet(connection)
        except BaseException:
            connection.disconnect()
            if self._sentinels is not None:
                self._sentinels.doubt()
            raise
        return connection

    def _warn_of(self, fields: dict[str, str]) -> None:
        """Warn once of a server whose version has a fault that jobs may meet."""
        if (fault := known_fault(fields)) and not self._has_warned:
            self._has_warned = True
            logger.warning("redis_has_a_fault %s", fault)

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    def is_gone(self, connection: Connection) -> bool:
        """Whether the Sentinels name another primary by now than the server that this connection leads to."""
        if self._sentinels is None:
            return False
        self._sentinels.look()
        return (connection.host, connection.port) != self._sentinels.known

    def _place(self) -> dict[str, Any]:
        """Where the primary is, if Sentinels know it."""
        if self._sentinels is None:
            return {}
        host, port = self._sentinels.primary()
        return {"host": host, "port": port}

    def _borrow(self) -> tuple[Connection, bool]:
        while True:
            connection, is_kept = self._take()
            if not is_kept or not self.is_gone(connection):
                return connection, is_kept
            connection.disconnect()

    def _take(self) -> tuple[Connection, bool]:
        with self._lock:
            if self._pid != os.getpid():
                # after a fork the sockets are the parent's
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop(), True
        return self.open(), False

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            self._idle.append(connection)


def run_of(connection: Connection) -> str:
    """Names the run of the server behind a connection: another one after a restart, and on another server.

    What a server holds may be older than what another run of it had answered. Empty where a server does not tell.
    """
    run: str = connection.__dict__["server_run"]
    return run


def known_fault(info: dict[str, str]) -> str | None:
    """One sentence on the fault of a server's version that waiting workers may meet; None: none is known."""
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = _numbers(info.get("valkey_version" if name == "Valkey" else "redis_version", "0"))
    for faulty, first, mended, fault in _FAULTS:
        if faulty == name and first <= version < mended:
            return f"{name} {_dotted(version)} has a known fault ({fault}): update it to {_dotted(mended)} or newer"
    return None


def check_server(info: dict[str, str]) -> None:
    """Raise `BrokerAway` with one sentence if jobs are not safe on a server that says this of itself."""
    version = info.get("redis_version", "0")
    if "redis_version" in info and _numbers(version)[:2] < OLDEST:
        raise BrokerAway(f"Redis {version} is too old: jobs need Redis 6.2 or newer, or Valkey", undone=True)
    if (policy := info.get("maxmemory_policy", "noeviction")) != "noeviction":
        raise BrokerAway(
            f"Redis would throw jobs away when its memory is full: set maxmemory-policy to noeviction, it is {policy}",
            undone=True,
        )
    if info.get("role") in {"slave", "replica"}:
        raise BrokerAway("this Redis server is a read-only replica: the address must name the primary", undone=True)


def _meaning(error: exceptions.ResponseError) -> str | None:
    """What the server's refusal means to an operator; None for one that only a mistake in here can cause.

    Nothing was done then, since scripts check before they write. Known by a word of the text: the client tells few
    kinds apart, and Redis 6.2 wraps what a script met.
    """
    text = f"{type(error).__name__} {error}"
    return next((meaning for word, meaning in _MEANINGS.items() if word in text), None)


def _is_of_no_primary(error: exceptions.ResponseError) -> bool:
    return any(word in f"{type(error).__name__} {error}" for word in _OF_NO_PRIMARY)


def _read_info(connection: Connection) -> dict[str, str]:
    """What the server tells of itself; nothing where it keeps that to itself, as some managed ones do."""
    connection.send_command("INFO")
    try:
        return _fields(connection.read_response())
    except exceptions.NoPermissionError:
        return {}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _fields(info: bytes | str) -> dict[str, str]:
    text = info.decode(errors="replace") if isinstance(info, bytes) else info
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("#"))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
