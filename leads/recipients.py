"""Who is told about a lead, and in which language."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from .models import Membership, Role


@dataclass(frozen=True)
class Recipient:
    """A member of the organisation."""

    user_id: int
    email: str
    language: str


def people_to_tell(organization_id: UUID, assignee_id: int | None) -> list[Recipient]:
    """The assignee if there is one, else the organisation's managers."""
    who: dict[str, object] = {"role": Role.MANAGER} if assignee_id is None else {"user_id": assignee_id}
    members = Membership.objects.filter(organization_id=organization_id, user__is_active=True, **who)
    return [
        Recipient(member.user_id, member.user.email, member.language or member.organization.language)
        for member in members.select_related("user", "organization").order_by("created_at")
    ]
