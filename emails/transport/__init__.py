"""The way out for mail: one send is one try, and ends in one outcome.

`send` returns what was sent, or raises one of the four outcomes under `NotSent`. It never sleeps and never tries again:
only the queue does.
"""

from __future__ import annotations

from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from ..composing import Composed
from ..models import EmailMessage
from . import recorded, smtp
from .backend import configured_backend
from .outcomes import Misconfigured, NotSent, Refused, Sent, TryLater, Unclear

__all__ = ["Misconfigured", "NotSent", "Refused", "Sent", "TryLater", "Unclear", "send"]


def send(message: EmailMessage, composed: Composed) -> Sent:
    """Hand one mail to what `EMAIL_URL` names.

    Raises `TryLater` (it surely did not go out, another try may), `Refused` (this mail will never be taken), `Unclear`
    (it may have gone out) or `Misconfigured` (no mail goes out until a setting is mended).
    """
    backend = configured_backend()
    if isinstance(backend, SmtpBackend):
        return smtp.send(backend, message, composed)
    return recorded.send(backend, message, composed)
