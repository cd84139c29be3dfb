"""A mail server, spoken to step by step: what a lost connection means depends on how far the mail had come."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from ..composing import Composed
from ..models import EmailMessage
from .connections import held_connections
from .exchange import WHOLE_TIMEOUT, Cut, cut_after
from .letter import Mailbox, as_bytes, own_message_id, recipient_of, sender_mailbox
from .outcomes import Away, Misconfigured, NotSent, Refused, Sent, TryLater, Unclear

START_INPUT = 354
#: Seconds for the server's answer to our goodbye.
GOODBYE = 2.0
#: "Sign in first", and the refusals of signing in (RFC 4954): nothing about this mail.
_SIGN_IN = frozenset({530, 534, 535, 538})
#: "This mail is too large" (RFC 1870), which a server may say before it has seen it.
_TOO_LARGE = 552


def send(backend: Any, message: EmailMessage, composed: Composed) -> Sent:
    """One mail over one connection of Django's SMTP backend."""
    to, sender = recipient_of(message), sender_mailbox(composed)
    utf8 = to.needs_smtputf8 or sender.needs_smtputf8
    content = as_bytes(message, composed, to, utf8=utf8)
    with _session(backend) as session:
        if utf8 and not session.has_extn("smtputf8"):
            who = "this address" if to.needs_smtputf8 else "our sender's address"
            text = f"the mail server cannot write {who}: it lacks SMTPUTF8"
            raise Refused(text) if to.needs_smtputf8 else Misconfigured(text)
        _address(session, sender, to, utf8=utf8)
        _hand_over(session, content)
    return Sent(own_message_id(message, composed))


@contextmanager
def _session(backend: Any) -> Iterator[smtplib.SMTP]:
    """An open, signed-in connection; held for the next mail if all goes well with this one."""
    lent = held_connections.lend(_bounded(backend), open_it=_open, is_alive=_is_alive, close=_close)
    with lent as held, cut_after(WHOLE_TIMEOUT, held.cut):
        yield held.connection


class _Bounded(SmtpBackend):
    """Django's backend, whose connection can be cut from its first byte on: a server may say a bit now and then."""

    hold: Cut | None = None

    @property
    def connection_class(self) -> Any:
        """As Django makes it; the socket is shown to us as soon as there is one."""

        def made(*args: Any, **kwargs: Any) -> smtplib.SMTP:
            kind = super(_Bounded, self).connection_class
            return cast(smtplib.SMTP, type("Watched", (_Watched, kind), {"owner": self})(*args, **kwargs))

        return made

    def cut(self) -> None:
        """End whatever goes on over the connection."""
        if self.hold is not None:
            self.hold.cut()


class _Watched(smtplib.SMTP):
    owner: _Bounded

    def _get_socket(self, *args: Any, **kwargs: Any) -> socket.socket:
        opened: socket.socket = super()._get_socket(*args, **kwargs)  # type: ignore[misc]
        # the line that ends a mail is sent by itself: it must not wait until the mail is acknowledged (40 ms)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.owner.hold = Cut(opened)
        return opened


def _bounded(backend: Any) -> _Bounded:
    """The same settings, with a connection that can be cut."""
    bounded = _Bounded.__new__(_Bounded)
    vars(bounded).update(vars(backend))
    return bounded


def _open(backend: Any) -> None:
    try:
        with cut_after(WHOLE_TIMEOUT, backend.cut):
            backend.open()
            backend.connection.ehlo_or_helo_if_needed()
    except Exception as error:
        _close(backend)
        raise _not_opened(error) from error


def _is_alive(backend: Any) -> bool:
    """Whether the server still answers, ready for the next mail: a round trip, against a mail of unclear fate."""
    try:
        backend.connection.sock.settimeout(GOODBYE)
        code, _reply = backend.connection.docmd("RSET")
        backend.connection.sock.settimeout(backend.timeout)
    except (OSError, smtplib.SMTPException, AttributeError):
        return False
    return _is_good(code)


def _close(backend: Any) -> None:
    with suppress(Exception):  # what became of the mail is known by now
        if backend.connection is not None and backend.connection.sock is not None:
            backend.connection.sock.settimeout(GOODBYE)
        with cut_after(GOODBYE, backend.cut):
            backend.close()
    if backend.hold is not None:
        backend.hold.release()
        backend.hold = None


def _not_opened(error: Exception) -> NotSent:
    if isinstance(error, smtplib.SMTPResponseException):
        text = f"the mail server took no connection: {_text(error.smtp_code, error.smtp_error)}"
        return Misconfigured(text) if error.smtp_code >= 500 else Away(text)
    text = f"no connection to the mail server: {type(error).__name__}: {error}"
    lacks_what_is_asked = (smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError)
    # smtplib raises the bare class where server and client share no way of signing in
    if isinstance(error, lacks_what_is_asked) or type(error) is smtplib.SMTPException:
        return Misconfigured(text)
    return Away(text) if isinstance(error, OSError) else Misconfigured(text)


def _address(session: smtplib.SMTP, sender: Mailbox, to: Mailbox, *, utf8: bool) -> None:
    """The envelope: MAIL and RCPT."""
    options = ["SMTPUTF8"] if utf8 else []
    with _before_hand_over():
        code, reply = session.mail(sender.address, options)
        if not _is_good(code):
            raise _of_sender(code, reply)
        code, reply = session.rcpt(to.address)
        if not _is_good(code):
            raise _of_mail(code, reply, "the address")


def _hand_over(session: smtplib.SMTP, content: bytes) -> None:
    """DATA; from the line that ends the mail to the answer nobody knows whether the server has it."""
    with _before_hand_over():
        code, reply = session.docmd("DATA")
        if code != START_INPUT:
            raise _of_mail(code, reply, "the mail")
        # a server throws away what it got without the end
        session.send(_dotted(content))
    try:
        session.send(b".\r\n")
        code, reply = session.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise Unclear(f"the answer to the mail was lost: {type(error).__name__}: {error}") from error
    if not 200 <= code < 600 or 300 <= code < 400:
        raise Unclear(f"the answer to the mail makes no sense: {_text(code, reply)}")
    if not _is_good(code):
        raise _of_mail(code, reply, "the mail")


@contextmanager
def _before_hand_over() -> Iterator[None]:
    try:
        yield
    except NotSent:
        raise
    except (OSError, smtplib.SMTPException) as error:
        raise Away(f"the connection broke before the mail was sent: {type(error).__name__}: {error}") from error


def _dotted(content: bytes) -> bytes:
    """The content as DATA carries it (RFC 5321, 4.5.2): a line's first dot doubled, a line's end at its end."""
    lines = content.split(b"\r\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)


def _is_good(code: int) -> bool:
    return 200 <= code < 300


def _of_sender(code: int, reply: bytes) -> NotSent:
    """The answer to MAIL: about who we are, or the mail's size."""
    text = f"the mail server refused our sender: {_text(code, reply)}"
    if code < 500:
        return Away(text)
    return Refused(text) if code == _TOO_LARGE else Misconfigured(text)


def _of_mail(code: int, reply: bytes, what: str) -> NotSent:
    text = f"the mail server refused {what}: {_text(code, reply)}"
    if code < 500:
        return TryLater(text)
    return Misconfigured(text) if code in _SIGN_IN else Refused(text)


def _text(code: int, reply: bytes | str) -> str:
    words = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return f"{code} {' '.join(words.split())}"[:500]
