"""Asking a lead by mail whether it agrees (double opt-in): when that mail may go, and the link in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core import signing
from django.utils import timezone

from accounts import limits
from leads import consent
from leads.models import ConsentPurpose, Lead
from leads.normalise import email_key

from .models import EmailMessage
from .suppression import is_suppressed

#: How long the link in the mail works.
LINK_LASTS = timedelta(days=14)
#: An address is asked once in this time by one organisation.
ASKED_EVERY = timedelta(days=7)
_SALT = "emails.consent"


def may_ask(lead: Lead) -> bool:
    """Whether the lead may be asked now; counts as having asked. Inside the transaction that states the mail."""
    key = email_key(lead.email)
    if key is None or is_suppressed(lead.email, lead.organization_id):
        return False
    if limits.take_of("consent", f"{lead.organization_id}:{key}", 1, ASKED_EVERY):
        return False
    return not limits.take("recipient", key)


def asked_in(message: EmailMessage) -> list[UUID]:
    """The lines of the consent log that the mail asks to confirm."""
    return [UUID(written) for written in message.params.get("asked", [])]


def is_open(message: EmailMessage, lead: Lead) -> bool:
    """Whether what the mail asks is still to be confirmed."""
    open_lines = consent.waiting(lead, asked_in(message))
    return bool(open_lines) and not is_suppressed(lead.email, lead.organization_id)


def purposes_of(lead: Lead, asked: list[UUID]) -> list[str]:
    """What of it is still to be confirmed, in words."""
    purposes = dict.fromkeys(line.purpose for line in consent.waiting(lead, asked))
    return [str(ConsentPurpose(purpose).label) for purpose in purposes]


def token_of(message: EmailMessage) -> str:
    """What proves, in the mail's link, that its holder reads the lead's mail."""
    # by the time of the mail, not of this try to send it: each try must have the same text
    ends = int((message.created_at + LINK_LASTS).timestamp())
    return _signer().sign_object([str(message.lead_id), message.params.get("asked", []), ends])


def read_token(token: str) -> tuple[UUID, list[UUID]] | None:
    """The lead and the lines of its consent log; None if somebody else made the token, or it has expired."""
    try:
        content: Any = _signer().unsign_object(token)
        lead_id, asked, ends = content
        return (UUID(lead_id), [UUID(one) for one in asked]) if ends > timezone.now().timestamp() else None
    except (signing.BadSignature, ValueError, TypeError):
        return None


def _signer() -> signing.Signer:
    return signing.Signer(salt=_SALT)
