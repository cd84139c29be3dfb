"""One request to a provider: bounded in time as a whole, and known to have been handed over or not.

What a lost connection means depends on that: a server throws away a request of which it got a part, and of one that it
got whole nobody knows what became.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

#: Seconds for a connection to be made, for the next bytes of an answer, and for the whole of a request.
CONNECT_TIMEOUT, READ_TIMEOUT, WHOLE_TIMEOUT = 5.0, 10.0, 20.0


class BoundedSession(requests.Session):
    """A session whose requests end in time, and follow no redirect; for one thread at a time."""

    def __init__(self, whole_timeout: float = WHOLE_TIMEOUT) -> None:
        super().__init__()
        self.whole_timeout = whole_timeout
        self.exchange = Exchange()
        adapter = _Adapter(self.exchange)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """One request, and its whole answer."""
        kwargs |= {"allow_redirects": False, "timeout": (CONNECT_TIMEOUT, READ_TIMEOUT)}
        # else a .netrc of this machine would replace the key
        kwargs["auth"] = kwargs.get("auth") or _as_it_is
        self.exchange.begin()
        with cut_after(self.whole_timeout, self.exchange.cut):
            return super().request(*args, **kwargs)


class Exchange:
    """How far the request of a session has come."""

    def __init__(self) -> None:
        self.handed_over = self.out_of_time = False
        self._connection: _Observed | None = None

    def begin(self) -> None:
        """The next request: nothing of it has gone out."""
        self.handed_over = self.out_of_time = False

    def is_at(self, connection: _Observed) -> None:
        """The connection that the request goes over; raises `TimeoutError` when the time is over already."""
        self._connection = connection
        if self.out_of_time:
            raise TimeoutError("no time left")

    def cut(self) -> None:
        """End the request: whoever waits for the other side hears that the connection is closed."""
        self.out_of_time = True
        if self._connection is not None:
            self._connection.cut()


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


@contextmanager
def cut_after(seconds: float, cut: Callable[[], None]) -> Iterator[None]:
    """Call `cut`, in another thread, unless the block ends before."""
    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Cut:
    """A second hold of a socket, by which it is closed from another thread; also while TLS takes the first one over."""

    def __init__(self, held: socket.socket) -> None:
        # by number: a TLS socket refuses to be copied
        self._socket = socket.socket(fileno=os.dup(held.fileno()))

    def cut(self) -> None:
        """Close the connection in both directions."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Let go of it."""
        self._socket.close()


class _Observed(HTTPConnection):
    """Tells the exchange when a request went out to its last byte."""

    exchange: Exchange
    _cut: Cut | None = None

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        self._cut = Cut(made)
        self.exchange.is_at(self)
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:
        self.exchange.is_at(self)
        super().request(*args, **kwargs)
        self.exchange.handed_over = True

    def cut(self) -> None:
        if self._cut is not None:
            self._cut.cut()

    def close(self) -> None:
        super().close()
        if self._cut is not None:
            self._cut.release()
            self._cut = None


class _ObservedTls(_Observed, HTTPSConnection):
    """The same over TLS."""


class _Adapter(HTTPAdapter):
    """One connection, kept for the next request; an idle one that the server closed is noticed and opened anew."""

    def __init__(self, exchange: Exchange) -> None:
        connections = {
            "http": type("Connection", (_Observed,), {"exchange": exchange}),
            "https": type("TlsConnection", (_ObservedTls,), {"exchange": exchange}),
        }
        self._pools = {
            "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": connections["http"]}),
            "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": connections["https"]}),
        }
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
