"""A mail service with an HTTP API, spoken to by django-anymail; its answers become outcomes here.

What is different with one of them stands in its own file: a subclass of anymail's backend with what `Provider` names.
"""

from __future__ import annotations

import ssl
from typing import Any, Protocol, cast
from uuid import UUID

import requests
from anymail.backends.base import AnymailBaseBackend
from anymail.backends.base_requests import AnymailRequestsBackend
from anymail.exceptions import (
    AnymailAPIError,
    AnymailError,
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
    AnymailRequestsAPIError,
    AnymailSerializationError,
)
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives

from leads.outgoing import retry_after

from ..composing import Composed
from ..models import EmailMessage
from .connections import held_connections
from .exchange import BoundedSession, Exchange
from .letter import as_django, recipient_of, sender_mailbox
from .outcomes import Away, Misconfigured, NotSent, Refused, Sent, TryLater, Unclear

#: As much of an answer as is shown.
SHOWN = 300
#: A gateway lost the server behind it, which may have taken the mail.
_GATEWAY = frozenset({502, 504, 520, 524})
#: Nothing about this mail: the key, the account, the address of the API.
_OURS = frozenset({401, 402, 403, 404, 405, 407})
#: Refusals that another try may overcome.
_TEMPORARY = frozenset({408, 423, 425})


class Provider(Protocol):
    """What a provider's own backend adds to anymail's; each part may be left out."""

    #: A repetition within a day is recognised by the key that `mark` gave it, and sends nothing.
    recognises_repetition: bool

    def mark(self, outgoing: Any, mail_id: UUID) -> None:
        """Give the mail our id, by which its events are known again."""

    def judge(self, status: int, body: Any) -> NotSent | None:
        """The outcome of an answer that means something else here than everywhere; `body` is its JSON or None."""


def is_provider(backend: object) -> bool:
    """Whether the backend is one of anymail's."""
    return isinstance(backend, AnymailBaseBackend)


def name_of(backend: Any) -> str:
    """The provider's name in small letters: `resend`."""
    return cast(str, backend.esp_name).lower().replace(" ", "_")


def recognises_repetition(backend: object) -> bool:
    """Whether a mail that was perhaps sent can be handed over again without harm."""
    return bool(getattr(backend, "recognises_repetition", False))


def send(backend: Any, message: EmailMessage, composed: Composed) -> Sent:
    """One mail, in one request of at most `exchange.WHOLE_TIMEOUT` seconds."""
    outgoing = _outgoing(backend, message, composed)
    try:
        with held_connections.lend(backend, open_it=_open, is_alive=_is_alive, close=_close) as held:
            try:
                held.send_messages([outgoing])
            except AnymailRequestsAPIError as error:
                raise _outcome(held, error) from None
            except requests.RequestException as error:  # an address that is none, before there is a request
                raise _unanswered(held, error) from None
    except AnymailRecipientsRefused as error:
        raise Refused(f"{backend.esp_name} refused the address: {_line(error)}") from None
    except (AnymailInvalidAddress, AnymailSerializationError) as error:
        raise Refused(f"the mail cannot be written: {_line(error)}") from None
    except AnymailAPIError as error:
        raise Unclear(f"{backend.esp_name} failed: {_line(error)}") from None
    except (AnymailError, ImproperlyConfigured) as error:
        raise Misconfigured(f"{backend.esp_name} cannot be used: {_line(error)}") from None
    status = cast(Any, outgoing).anymail_status
    return Sent(str(status.message_id or message.id))


def _outgoing(backend: Any, message: EmailMessage, composed: Composed) -> EmailMultiAlternatives:
    sender_mailbox(composed)  # a wrong sender is not the addressee's fault
    outgoing = as_django(composed, recipient_of(message).address, composed.headers)
    if hasattr(backend, "mark"):
        backend.mark(outgoing, message.id)
    else:
        outgoing.metadata = {"mail": str(message.id)}  # type: ignore[attr-defined]
    return outgoing


def _open(backend: Any) -> None:
    backend.open()
    if isinstance(backend, AnymailRequestsBackend):
        bounded = BoundedSession()
        bounded.headers.update(backend.session.headers)
        backend.session.close()
        backend.session = bounded


def _is_alive(backend: Any) -> bool:
    # before each request urllib3 looks whether the other side has closed the connection, and opens another
    return True


def _close(backend: Any) -> None:
    backend.close()


def _outcome(backend: Any, error: AnymailRequestsAPIError) -> NotSent:
    response = error.response
    if response is None:
        return _unanswered(backend, error)
    status = response.status_code
    body = _json(response)
    if hasattr(backend, "judge") and (judged := backend.judge(status, body)) is not None:
        return cast(NotSent, judged)
    text = f"{backend.esp_name} answered {status}: {_line(response.text)}"
    if 200 <= status < 300:
        return _unclear(backend, f"{text} (which cannot be understood)")
    named = response.headers.get("Retry-After", "")
    if status == 429:
        return TryLater(text, retry_after=retry_after(named), whole_queue=True)
    if status in _GATEWAY:
        return _unclear(backend, text)
    if status >= 500 or status in _TEMPORARY:
        return Away(text, retry_after=retry_after(named), whole_queue=True) if named else Away(text)
    return Misconfigured(text) if status in _OURS or status < 400 else Refused(text)


def _unanswered(backend: Any, error: Exception) -> NotSent:
    """No whole answer came: what that means depends on whether the request had gone out."""
    exchange: Exchange = backend.session.exchange
    cause = _root(error)
    why = "out of time" if exchange.out_of_time else f"{type(cause).__name__}: {_line(cause)}"
    if exchange.handed_over:
        return _unclear(backend, f"the answer of {backend.esp_name} was lost: {why}")
    text = f"{backend.esp_name} was not reached: {why}"
    if isinstance(cause, (ssl.SSLCertVerificationError, ValueError)):
        return Misconfigured(text)
    return Away(text)


def _unclear(backend: Any, text: str) -> Unclear:
    return Unclear(text, repeatable=recognises_repetition(backend))


def _root(error: BaseException) -> BaseException:
    """What it began with: requests and urllib3 wrap it several times."""
    while True:
        inner = error.__cause__ or getattr(error, "reason", None) or error.__context__
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _line(text: object) -> str:
    return " ".join(str(text).replace("\x00", "").split())[:SHOWN]
