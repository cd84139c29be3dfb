"""The daily mail of what a person has not read."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from ..events import DigestDue, digest_due
from ..models import User


def have_digest_mailed(user_id: UUID, lines: Iterable[tuple[str, int]], *, organization_id: UUID | None) -> None:
    """Announce that the person has these news; in the transaction that notes that they are told."""
    digest_due.announce(DigestDue(organization_id=organization_id, user_id=user_id, lines=tuple(lines)))


def choose_digest(user_id: UUID, wanted: bool) -> bool:
    """Whether the person gets the daily mail from now on; False if that was so."""
    with transaction.atomic():
        return bool(User.objects.filter(pk=user_id, wants_digest=not wanted).update(wants_digest=wanted))
