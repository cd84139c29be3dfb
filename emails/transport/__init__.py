"""The way out for mail: one send is one try, and ends in one outcome.

`WayOut.send` returns what was sent, or raises one of the four outcomes under `NotSent`. It never sleeps and never tries
again: only the queue does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from jobs import provider_call

from ..composing import Composed
from ..models import EmailMessage
from . import provider, recorded, smtp
from .backend import configured_backend
from .outcomes import Away, Misconfigured, NotSent, Refused, Sent, TryLater, Unclear

#: What a mail server is called among the providers, whose calls are counted; a service by its own name.
MAIL = "mail"

__all__ = ["MAIL", "Away", "Misconfigured", "NotSent", "Refused", "Sent", "TryLater", "Unclear", "WayOut", "way_out"]


class WayOut:
    """How mail leaves, as the settings have it. `name`: `smtp`, a provider's, or empty where it is only written down.

    `recognises_repetition`: the other side knows a mail that it has taken already, by its key, and another try within a
    day sends it once.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.name = ""
        self.recognises_repetition = False
        self._send: Callable[[Any, EmailMessage, Composed], Sent] = recorded.send
        if isinstance(backend, SmtpBackend):
            self.name, self._send = "smtp", smtp.send
        elif provider.is_provider(backend):
            self.name, self._send = provider.name_of(backend), provider.send
            self.recognises_repetition = provider.recognises_repetition(backend)

    def send(self, message: EmailMessage, composed: Composed) -> Sent:
        """Hand one mail over.

        Raises `TryLater` (it surely did not go out, another try may), `Refused` (this mail will never be taken),
        `Unclear` (it may have gone out) or `Misconfigured` (no mail goes out until a setting is mended).
        """
        if not self.name:
            return self._send(self._backend, message, composed)
        provider_name = MAIL if self.name == "smtp" else self.name
        with provider_call(provider_name, failed=(Away,), slowed=(TryLater,), refused=(Refused, Misconfigured)):
            return self._send(self._backend, message, composed)


def way_out() -> WayOut:
    """The way that `EMAIL_URL` names; for one mail. Nothing is opened yet."""
    return WayOut(configured_backend())
