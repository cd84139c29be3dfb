"""The way out for mail: one send is one try, and ends in one outcome.

`send` returns what was sent, or raises one of the four outcomes under `NotSent`. It never sleeps and never tries again:
only the queue does.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from ..composing import Composed
from ..models import EmailMessage
from . import provider, recorded, smtp
from .backend import configured_backend
from .outcomes import Misconfigured, NotSent, Refused, Sent, TryLater, Unclear

__all__ = ["Misconfigured", "NotSent", "Refused", "Sent", "TryLater", "Unclear", "WayOut", "send", "way_out"]


@dataclass(frozen=True)
class WayOut:
    """How mail leaves: `smtp`, a provider's name, or empty where it is only written down."""

    name: str
    #: The other side knows a mail that it has taken already, by its key: another try within a day sends nothing twice.
    recognises_repetition: bool = False


def send(message: EmailMessage, composed: Composed) -> Sent:
    """Hand one mail to what `EMAIL_URL` names.

    Raises `TryLater` (it surely did not go out, another try may), `Refused` (this mail will never be taken), `Unclear`
    (it may have gone out) or `Misconfigured` (no mail goes out until a setting is mended).
    """
    backend = configured_backend()
    if isinstance(backend, SmtpBackend):
        return smtp.send(backend, message, composed)
    if provider.is_provider(backend):
        return provider.send(backend, message, composed)
    return recorded.send(backend, message, composed)


def way_out() -> WayOut:
    """How mail leaves, as the settings have it."""
    backend = configured_backend()
    if isinstance(backend, SmtpBackend):
        return WayOut("smtp")
    if provider.is_provider(backend):
        return WayOut(provider.name_of(backend), provider.recognises_repetition(backend))
    return WayOut("")
