"""What stands in the link of an invitation or of a password reset: made while the mail is sent, and kept nowhere.

A token follows from the row and its time, so each try to send a mail has the same text: a mail service that is given
another text under the same key takes it for another mail.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import signing
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from .models import Invitation, User
from .services import is_open

_SALT = "accounts.invitation"


def invitation_token(invitation: Invitation) -> str:
    """What proves that its holder reads the mail of the invitation; a newer mail makes an older one's invalid."""
    return signing.Signer(salt=_SALT).sign_object([str(invitation.pk), invitation.sent_at.isoformat()])


def invitation_of(token: str) -> Invitation | None:
    """The open invitation that the token was made for; None if it has ended or expired, or somebody made it up."""
    try:
        key, sent_at = signing.Signer(salt=_SALT).unsign_object(token)
        invitation = open_invitation(UUID(key))
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return invitation if invitation is not None and invitation.sent_at.isoformat() == sent_at else None


def open_invitation(invitation_id: UUID) -> Invitation | None:
    """The invitation, while it can be accepted."""
    invitation = Invitation.objects.select_related("organization", "invited_by").filter(pk=invitation_id).first()
    return invitation if invitation is not None and is_open(invitation) else None


def reset_parts(user: User, at: datetime) -> tuple[str, str]:
    """The two parts of a password reset's address, as Django's view takes them; it lasts PASSWORD_RESET_TIMEOUT."""
    return urlsafe_base64_encode(force_bytes(user.pk)), _ResetToken(at).make_token(user)


class _ResetToken(PasswordResetTokenGenerator):
    """Django's own token, of a given time."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self._at = at

    def _now(self) -> datetime:
        # naive and local, as the one that checks it takes the time
        return timezone.make_naive(self._at, timezone.get_default_timezone())
