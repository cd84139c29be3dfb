"""No mail server: the mail is kept in a folder, in memory or on the terminal, and reaches nobody."""

from __future__ import annotations

from typing import Any

from django.core import mail

from ..composing import Composed
from ..models import EmailMessage
from .letter import own_message_id, sender_of
from .outcomes import Sent


def send(backend: Any, message: EmailMessage, composed: Composed) -> Sent:
    """Write the mail down with one of Django's own backends."""
    receipt = own_message_id(message, composed)
    outgoing = mail.EmailMultiAlternatives(
        composed.subject,
        composed.text,
        sender_of(composed),
        [message.to],
        reply_to=[composed.reply_to] if composed.reply_to else None,
        headers={"Message-ID": receipt, **composed.headers},
    )
    outgoing.attach_alternative(composed.html, "text/html")
    backend.send_messages([outgoing])
    return Sent(receipt, recorded=True)
