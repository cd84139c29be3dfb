"""A small TCP proxy in front of PostgreSQL or Redis, which cuts a connection when a certain statement is under way.

It reads the client's messages far enough to know the text of each statement, also of a prepared one, and the server's
far enough to know when a reply begins.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import Literal

_START_PACKETS = {80877102, 80877103, 80877104}  # cancel, SSL, GSS: what may come in place of a start-up packet

Where = Literal["request", "reply", "hold"]


@dataclass
class Cut:
    """Cut the connection on which a statement is under way that holds all of `texts`, `times` times.

    `request`: before the server gets it. `reply`: the server has done it, and only the first half of a reply that holds
    `answer` comes through. `hold`: nothing of the reply comes through, for `seconds`, and then the connection is cut.
    """

    where: Where
    texts: tuple[str, ...]
    answer: str = ""
    times: int = 1
    seconds: float = 0.0
    done: int = field(default=0, init=False)

    def fits(self, request: bytes) -> bool:
        return self.done < self.times and all(text.encode() in request for text in self.texts)


class Proxy:
    """Listens on a port of its own and forwards to the server; a Redis server if it is told so."""

    def __init__(self, port: int, *, redis: bool = False) -> None:
        self.server_port = port
        self.reader: type[_Reader] = _OfRedis if redis else _OfPostgresql
        self.rule: Cut | None = None
        self.is_away = False
        self._lock = threading.Lock()
        self._pairs: list[_Pair] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, where: Where, *texts: str, answer: str = "", times: int = 1, seconds: float = 0.0) -> Cut:
        """Set the one rule that holds from now on."""
        self.rule = Cut(where, texts, answer, times, seconds)
        return self.rule

    def cut_all(self) -> int:
        """Cut every connection now; returns how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.close()
        return len(pairs)

    def leave(self) -> None:
        """Be away from now on: every connection is cut, and none is taken."""
        self.is_away = True
        self.cut_all()

    def come_back(self) -> None:
        self.is_away = False

    def close(self) -> None:
        self._listener.close()
        self.cut_all()

    def take(self, request: bytes, where: tuple[Where, ...]) -> Cut | None:
        """The rule, if it fits: from then on it is used up by one."""
        with self._lock:
            rule = self.rule
            if rule is None or rule.where not in where or not rule.fits(request):
                return None
            rule.done += 1
            return rule

    def expects_answer(self, request: bytes) -> str:
        rule = self.rule
        return rule.answer if rule is not None and rule.fits(request) else ""

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.is_away:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self.server_port), 5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                pair = _Pair(self, client, server)
                with self._lock:
                    self._pairs = [other for other in self._pairs if not other.closed] + [pair]
                pair.start()


class _Pair:
    """One connection of a client and its connection to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.closed = False
        self._proxy = proxy
        self._client = client
        self._server = server
        self._reader = proxy.reader()
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        for forward in (self._to_server, self._to_client):
            threading.Thread(target=self._guarded, args=(forward,), daemon=True).start()

    def close(self) -> None:
        self.closed = True
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _guarded(self, forward: object) -> None:
        try:
            forward()  # type: ignore[operator]
        except OSError:
            pass
        finally:
            self.close()

    def _to_server(self) -> None:
        while data := self._client.recv(65536):
            self._reader.read(data)
            if self._proxy.take(self._reader.request, ("request",)):
                return
            self._server.sendall(data)

    def _to_client(self) -> None:
        reply, request = b"", b""
        while data := self._server.recv(65536):
            if self._reader.request is not request:
                reply, request = b"", self._reader.request
            reply += data
            if self._proxy.expects_answer(request).encode() in reply and (
                rule := self._proxy.take(request, ("reply", "hold"))
            ):
                if rule.where == "hold":
                    threading.Event().wait(rule.seconds)
                else:
                    self._client.sendall(data[: len(data) // 2])
                return
            self._client.sendall(data)


class _Reader:
    """Reads what a client asks for."""

    def __init__(self) -> None:
        self.request = b""  # the statement under way: its text and its parameters

    def read(self, data: bytes) -> None:
        """Note the statement that these bytes of the client ask for."""
        raise NotImplementedError


class _OfRedis(_Reader):
    """A command is sent at once, and begins with a star; what does not goes on with the one before."""

    def read(self, data: bytes) -> None:
        self.request = data if data[:1] == b"*" else self.request + data


class _OfPostgresql(_Reader):
    def __init__(self) -> None:
        super().__init__()
        self._unread = b""
        self._started = False
        self._prepared: dict[bytes, bytes] = {}

    def read(self, data: bytes) -> None:
        self._unread += data
        while len(self._unread) >= (5 if self._started else 8):
            if not self._started:
                length = int.from_bytes(self._unread[:4], "big")
                self._started = int.from_bytes(self._unread[4:8], "big") not in _START_PACKETS
                self._unread = self._unread[length:]
                continue
            length = 1 + int.from_bytes(self._unread[1:5], "big")
            if len(self._unread) < length:
                return
            kind, body = self._unread[:1], self._unread[5:length]
            self._unread = self._unread[length:]
            if kind == b"P":
                name, text, *_ = body.split(b"\0", 2)
                self._prepared[name] = text
            elif kind == b"B":
                _, name, parameters = body.split(b"\0", 2)
                self.request = self._prepared.get(name, b"") + b"\0" + parameters
            elif kind == b"Q":
                self.request = body
