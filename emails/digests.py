"""The daily mail of unread news: who still wants it, and the link in it that stops it."""

from __future__ import annotations

from uuid import UUID

from django.urls import reverse

from .link_tokens import id_in, signed_id
from .models import EmailMessage

_SALT = "emails.digest"


def is_wanted(message: EmailMessage) -> bool:
    """Whether the mail's reader can still sign in, wants it, and has this address."""
    person = message.recipient
    return person is not None and person.is_active and person.wants_digest and message.to == person.email


def stop_path(user_id: UUID) -> str:
    """The path of the page that stops the person's daily mail."""
    return reverse("emails:stop_digest", args=[signed_id(user_id, _SALT)])


def user_of_token(token: str) -> UUID | None:
    """The person that a link was made for; None if it was made by somebody else."""
    return id_in(token, _SALT)
