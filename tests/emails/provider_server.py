"""A mail service of the test process: speaks Resend's and SendGrid's API, keeps a ledger, and fails where told to."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from config.settings.env import Environment, mail_settings

#: What may be told to a request beside an `Answer`.
DROP = "drop"  # the connection is cut before the request is read
TAKE_AND_DROP = "take and drop"  # the mail is taken, and the answer lost
TAKE_AND_HANG = "take and hang"  # the mail is taken, and no answer comes while the connection lives
TAKE_AND_DRIP = "take and drip"  # the mail is taken, and the answer comes a byte at a time, for ever
TAKE_AND_MUMBLE = "take and mumble"  # the mail is taken, and the answer is no JSON
HALF_READ = "half read"  # the connection is cut in the middle of the request


@dataclass(frozen=True)
class Answer:
    """A refusal: the mail is not taken."""

    status: int
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Taken:
    """A mail that the service took."""

    id: str
    key: str
    content: dict[str, Any]

    @property
    def mail_id(self) -> str:
        """Our id, as the service will give it back."""
        if "personalizations" in self.content:
            first = self.content["personalizations"][0]
            return str({**self.content.get("custom_args", {}), **first.get("custom_args", {})}["mail"])
        return str(self.content["tags"][0]["value"])


class ProviderServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of this machine, as long as the `with` block lasts.

    `fault` is asked at each request, with its number from 1 on; None: all is well.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        fault: Callable[[int], Answer | str | None] = lambda number: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.fault = fault
        self.tls = tls
        self.taken: list[Taken] = []
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.connections = 0
        self.idle_limit = 30.0
        self.lock = threading.Lock()
        self._answers: dict[str, tuple[dict[str, Any], str]] = {}
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def __enter__(self) -> ProviderServer:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="mail-service")
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._thread.join(10)
        self.close_connections()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """The handshake comes with the first read, in the connection's own thread."""
        accepted, address = super().get_request()
        if self.tls is not None:
            accepted = self.tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        return accepted, address

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.server_address[1]}/"

    @property
    def sent(self) -> Counter[str]:
        """How often each mail of ours was sent."""
        return Counter(taken.mail_id for taken in self.taken)

    def take(self, key: str, content: dict[str, Any]) -> tuple[int, str]:
        """Send the mail, unless its key was seen; the status, and the id or the error's name."""
        with self.lock:
            if key and key in self._answers:
                known, mail_id = self._answers[key]
                return (200, mail_id) if known == content else (409, "invalid_idempotent_request")
            taken = Taken(str(uuid.uuid4()), key, content)
            self.taken.append(taken)
            if key:
                self._answers[key] = (content, taken.id)
            return 200, taken.id

    def close_connections(self) -> None:
        """End what is open, as a service does with idle connections."""
        with self.lock:
            held = list(self._open)
        for connection in held:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(socketserver.StreamRequestHandler):
    server: ProviderServer

    def handle(self) -> None:
        with self.server.lock:
            self.server.connections += 1
            self.server._open.add(self.connection)
        try:
            with contextlib.suppress(OSError):
                self.connection.settimeout(self.server.idle_limit)
                while self._one():
                    pass
        finally:
            with self.server.lock:
                self.server._open.discard(self.connection)

    def _one(self) -> bool:
        first = self.rfile.readline(4_096).decode()
        if not first:
            return False
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(8_192).decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        with self.server.lock:
            number = len(self.server.requests) + 1
            self.server.requests.append((first.split()[1], headers, {}))
        fault = self.server.fault(number)
        if fault in (DROP, HALF_READ):
            self.rfile.read1(10 if fault == HALF_READ else 0)
            return False
        content = json.loads(self.rfile.read(int(headers["content-length"])))
        self.server.requests[number - 1] = (first.split()[1], headers, content)
        if isinstance(fault, Answer):
            self._say(fault.status, fault.body, fault.headers)
            return True
        status, found = self.server.take(headers.get("idempotency-key", ""), content)
        if fault == TAKE_AND_DROP:
            return False
        if fault == TAKE_AND_HANG:
            self.rfile.read()
            return False
        if fault == TAKE_AND_DRIP:
            self._drip()
            return False
        if fault == TAKE_AND_MUMBLE:
            self._say(200, '{"id": "4')
            return True
        if status != 200:
            self._say(status, json.dumps({"statusCode": status, "name": found, "message": "this key was used before"}))
        elif first.split()[1].endswith("mail/send"):
            self._say(202, "", {"X-Message-Id": found})
        else:
            self._say(200, json.dumps({"id": found}))
        return True

    def _drip(self) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
            self.wfile.write(bytes([byte]))
            time.sleep(0.02)

    def _say(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        lines = [f"HTTP/1.1 {status} Test", f"Content-Length: {len(body.encode())}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.wfile.write("\r\n".join([*lines, "", body]).encode())


def provider_settings(name: str, url: str, **variables: str) -> dict[str, Any]:
    """The settings under which mail goes to a service of this machine, as the environment would make them."""
    environment = {"EMAIL_URL": f"{name}://key-of-the-test?api_url={url}", **variables}
    provider = Environment(environment).mail_provider()
    assert provider is not None
    return mail_settings(provider)


def use_provider(settings: Any, name: str, url: str, **variables: str) -> None:
    """Have mail sent by a service of this machine, with pytest-django's `settings`."""
    for setting, value in provider_settings(name, url, **variables).items():
        setattr(settings, setting, value)
