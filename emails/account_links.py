"""The links in mails about accounts: an invitation, a new password. Each is made while the mail is sent."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import Invitation
from accounts.tokens import invitation_token, open_invitation, reset_parts

from .models import EmailMessage

OF_ACCOUNTS = frozenset({EmailMessage.Kind.INVITATION, EmailMessage.Kind.PASSWORD_RESET})


def link_of(message: EmailMessage) -> tuple[str, str]:
    """The path of the page that the mail leads to, and the part of it that only its reader may know."""
    if message.kind == EmailMessage.Kind.INVITATION:
        token = invitation_token(Invitation.objects.get(pk=message.params["invitation"]))
        return reverse("accounts:invitation", args=[token]), token
    if message.recipient is None:
        raise ValueError("the mail's user is gone")
    person, token = reset_parts(message.recipient, message.created_at)
    return reverse("accounts:password_reset_confirm", args=[person, token]), token


def is_useful(message: EmailMessage) -> bool:
    """Whether the link would still lead somewhere."""
    if message.kind == EmailMessage.Kind.INVITATION:
        invitation = open_invitation(message.params["invitation"])
        return invitation is not None and f"{invitation.pk}:{invitation.sent_at.isoformat()}" == message.key
    person = message.recipient
    if person is None or not person.is_active or message.to != person.email:
        return False
    return timezone.now() < message.created_at + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
