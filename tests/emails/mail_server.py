"""A mail server of the test process: a real socket, that keeps a ledger and fails where it is told to."""

from __future__ import annotations

import contextlib
import re
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from config.settings.env import mail_settings

#: What may be told to a step: a reply such as "450 4.2.0 greylisted", or one of these.
DROP = "drop"  # the connection is cut without a word
KEEP_AND_DROP = "keep and drop"  # the mail is kept, and the answer lost
KEEP_AND_HANG = "keep and hang"  # the mail is kept, and no answer comes while the connection lives
DRIP = "drip"  # the answer has one more line, and one more, for ever


@dataclass(frozen=True)
class Kept:
    """A mail that the server took."""

    message_id: str
    sender: str
    to: str
    content: bytes


@dataclass
class Behaviour:
    """What the server does at each step: `greet`, `ehlo`, `auth`, `mail`, `rcpt`, `data`, `content`, `end`, `quit`.

    `faults` asks for the fault of a step, with the recipient where it is known; None: all is well.
    """

    faults: Callable[[str, str], str | None] = lambda step, to: None
    extensions: tuple[str, ...] = ("8BITMIME",)
    kept: list[Kept] = field(default_factory=list)
    #: commands as they came
    heard: list[str] = field(default_factory=list)
    connections: int = 0


class _Cut(Exception):
    """The connection ends here."""


class _Handler(socketserver.StreamRequestHandler):
    timeout = 30
    server: MailServer

    def handle(self) -> None:
        self.behaviour = self.server.behaviour
        self.behaviour.connections += 1
        self.sender = self.to = ""
        with contextlib.suppress(_Cut, OSError):
            self._step("greet", "220 test ESMTP")
            while line := self.rfile.readline(4_096):
                command = line.decode("utf-8").rstrip("\r\n")
                self.behaviour.heard.append(command)
                self._obey(command, command.partition(" ")[0].upper())

    def _obey(self, command: str, verb: str) -> None:
        if verb == "EHLO":
            self._step(
                "ehlo", "\r\n".join(["250-test", *(f"250-{name}" for name in self.behaviour.extensions), "250 OK"])
            )
        elif verb == "MAIL":
            self.sender = _address(command)
            self._step("mail", "250 ok")
        elif verb == "RCPT":
            self.to = _address(command)
            self._step("rcpt", "250 ok")
        elif verb == "DATA":
            self._data()
        elif verb == "AUTH":
            self._step("auth", "535 5.7.8 wrong user or password")
        elif verb == "STARTTLS":
            self._say("502 5.5.1 no such command")
        elif verb == "QUIT":
            self._step("quit", "221 bye")
            raise _Cut
        else:
            self._say("250 ok")

    def _data(self) -> None:
        if not self._step("data", "354 go on"):
            return
        if self.behaviour.faults("content", self.to) == DROP:
            self.rfile.readline()
            raise _Cut
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        if not line:
            raise _Cut
        fault = self.behaviour.faults("end", self.to)
        if fault in (None, KEEP_AND_DROP, KEEP_AND_HANG):
            self._keep(b"".join(lines))
        if fault == KEEP_AND_HANG:
            self.rfile.read()  # until the client gives up
        if fault in (KEEP_AND_HANG, KEEP_AND_DROP, DROP):
            raise _Cut
        self._say(fault or "250 taken")

    def _keep(self, content: bytes) -> None:
        found = re.search(rb"^Message-ID:\s*(\S+)", content, re.MULTILINE | re.IGNORECASE)
        kept = Kept(found[1].decode() if found else "", self.sender, self.to, content)
        self.behaviour.kept.append(kept)
        self.server.keep(kept)

    def _step(self, name: str, reply: str) -> bool:
        fault = self.behaviour.faults(name, self.to)
        if fault == DROP:
            raise _Cut
        self._say(fault or reply)
        return fault is None

    def _say(self, reply: str) -> None:
        while reply == DRIP:
            self.wfile.write(b"250-and\r\n")
            time.sleep(0.02)
        self.wfile.write(reply.encode() + b"\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of this machine, as long as the `with` block lasts."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, behaviour: Behaviour | None = None, keep: Callable[[Kept], None] = lambda kept: None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.keep = keep
        super().__init__(("127.0.0.1", 0), _Handler)

    def __enter__(self) -> MailServer:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="mail-server")
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._thread.join(10)
        self.server_close()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def kept(self) -> list[Kept]:
        return self.behaviour.kept


def smtp_settings(port: int, timeout: float = 5, **options: Any) -> dict[str, Any]:
    """The settings under which mail goes to a server of this machine."""
    return mail_settings(
        {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": port, "timeout": timeout, **options},
        }
    )


def use_mail_server(settings: Any, port: int, **options: Any) -> None:
    """Have mail sent to a server of this machine, with pytest-django's `settings`."""
    for name, value in smtp_settings(port, **options).items():
        setattr(settings, name, value)


def _address(command: str) -> str:
    return command[command.index("<") + 1 : command.index(">")]
