"""No mail server: the mail is kept in a folder, in memory or on the terminal, and reaches nobody."""

from __future__ import annotations

from typing import Any

from ..composing import Composed
from ..models import EmailMessage
from .letter import as_django, own_message_id
from .outcomes import Sent


def send(backend: Any, message: EmailMessage, composed: Composed) -> Sent:
    """Write the mail down with one of Django's own backends."""
    receipt = own_message_id(message, composed)
    backend.send_messages([as_django(composed, message.to, {"Message-ID": receipt, **composed.headers})])
    return Sent(receipt, recorded=True)
