"""Waiting for a token that says that there may be something to claim.

The server's own timeouts are some 80 ms late when it idles, so none is asked for: this process keeps the time, and
takes its blocked command back when that is over.
"""

from __future__ import annotations

import threading
from typing import Any

from redis.connection import Connection
from redis.exceptions import ResponseError

from .connection import RedisServer
from .scripts import Scripts

#: Seconds that the server's own timeouts may be late.
LATE = 1.0


class Waiting:
    """One connection on which one thread at a time waits; the others are told at once that they hear nothing."""

    def __init__(self, server: RedisServer, scripts: Scripts) -> None:
        self._server = server
        self._scripts = scripts
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        # None where the server keeps CLIENT to itself: then its own timeouts have to do
        self._client: Any = None

    def wait(self, queue: str, seconds: float) -> bool | None:
        """Whether a token of the queue came within so many seconds; raises `BrokerAway`."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            with self._server.reaching():
                return self._wait(self._scripts.key(queue, "wake"), seconds)
        except ResponseError as error:
            self._disconnect()
            raise self._scripts.failure(queue, error) from error
        except BaseException:
            self._disconnect()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Give the connection up, unless a thread waits on it: that ends with its own wait."""
        if self._lock.acquire(blocking=False):
            self._disconnect()
            self._lock.release()

    def _wait(self, key: str, seconds: float) -> bool:
        if self._connection is not None and self._server.is_gone(self._connection):
            self._disconnect()
        if self._connection is None:
            self._connection = self._server.open()
            self._client = _ask(self._connection, "CLIENT", "ID")
            _ask(self._connection, "CLIENT", "NO-EVICT", "ON")
        if self._client is None:
            self._connection.send_command("BLPOP", key, seconds)
            self._connection.can_read(timeout=seconds + LATE)
        else:
            self._connection.send_command("BLPOP", key, 0)
            if not self._connection.can_read(timeout=seconds):
                self._server.call("CLIENT", "UNBLOCK", self._client)
        return self._connection.read_response() is not None

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None


def _ask(connection: Connection, *command: str) -> Any:
    """The answer; None where the server refuses the command, or does not know it yet."""
    connection.send_command(*command)
    try:
        return connection.read_response()
    except ResponseError:
        return None
