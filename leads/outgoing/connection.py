"""One request over one connection, with one deadline and a limit of bytes, whatever the other side sends and when.

`http.client` speaks HTTP; it gets a socket whose every read and write has only the time that is left. A limit for each
read alone would let a header that drips hold the thread for hours.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from .addresses import Target, addresses_of

#: Seconds for one address of a host; the next may answer.
CONNECT_TIME = 5.0
#: Bytes of status lines, headers and text that are received.
RECEIVED_LIMIT = 65_536


class AnswerTooLong(OSError):
    """The other side sends more than is received."""


class Connection:
    """A connection to a target, to be used once: `with Connection(target, seconds) as connection`."""

    def __init__(self, target: Target, seconds: float) -> None:
        self._target = target
        self._until = time.monotonic() + seconds
        self._received = 0
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def post(self, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """The answer, as far as its headers; raises `UnusableAddress`, `OSError` or `http.client.HTTPException`."""
        client = http.client.HTTPConnection(self._target.host, self._target.port)
        client.default_port = 443 if self._target.secure else 80  # the Host header leaves it out
        self._socket = self._connected()
        client.sock = self  # it opens none of its own
        client.request("POST", self._target.path, body, dict(headers))
        return client.getresponse()

    def shorten(self, seconds: float) -> None:
        """From now on no more than so many seconds are left."""
        self._until = min(self._until, time.monotonic() + seconds)

    # What `http.client` does with a socket

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._ready().send(rest) :]

    def receive_into(self, buffer: Any) -> int:
        """Receive what is there."""
        count = self._ready().recv_into(buffer)
        self._received += count
        if self._received > RECEIVED_LIMIT:
            raise AnswerTooLong(f"more than {RECEIVED_LIMIT} bytes")
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file of what is received."""
        return io.BufferedReader(_Received(self))

    def close(self) -> None:
        """Nothing: the answer may still have to be read; `with` closes the socket."""

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _ready(self) -> socket.socket:
        assert self._socket is not None
        self._socket.settimeout(self._left())
        return self._socket

    def _connected(self) -> socket.socket:
        failure: OSError | None = None
        for family, where in addresses_of(self._target, self._left()):
            opened = socket.socket(family, socket.SOCK_STREAM)
            try:
                opened.settimeout(min(CONNECT_TIME, self._left()))
                opened.connect(where)
                opened.settimeout(self._left())
                return self._secured(opened) if self._target.secure else opened
            except OSError as error:
                opened.close()
                failure = error
                if isinstance(error, ssl.SSLError):
                    break
        assert failure is not None
        raise failure

    def _secured(self, opened: socket.socket) -> socket.socket:
        # a handshake has one limit as a whole; a name in a certificate has no dot at its end
        return _tls().wrap_socket(opened, server_hostname=self._target.host.removesuffix("."))


class _Received(io.RawIOBase):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.receive_into(buffer)


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificate authorities, or those of `SSL_CERT_FILE`."""
    return ssl.create_default_context()
