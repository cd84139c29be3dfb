"""Who is told about a lead, and in which language; who reads what the lead replies."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from .models import Lead, Membership, Role


@dataclass(frozen=True)
class Recipient:
    """A member of the organisation."""

    user_id: int
    email: str
    language: str


def people_to_tell(organization_id: UUID, assignee_id: int | None) -> list[Recipient]:
    """The assignee if active, else the active managers, else all active members: whoever there is, somebody hears.

    Empty only if the organisation has no active member, which `jobs status` says.
    """
    active = active_members(organization_id).select_related("user", "organization").order_by("created_at", "pk")
    assignee = active.filter(user_id__in=[] if assignee_id is None else [assignee_id])
    for members in (assignee, active.filter(role=Role.MANAGER), active):
        told = [
            Recipient(member.user_id, member.user.email, member.language or member.organization.language)
            for member in members
        ]
        if told:
            return told
    return []


def is_active_member(user_id: int, organization_id: UUID) -> bool:
    """Whether this person still may hear of what the organisation has."""
    return active_members(organization_id).filter(user_id=user_id).exists()


def active_members(organization_id: UUID) -> QuerySet[Membership]:
    """The memberships of those who can sign in."""
    return Membership.objects.filter(organization_id=organization_id, user__is_active=True)


def reply_address(lead: Lead) -> str:
    """Where the lead's replies to a mail are read: the organisation's address, else that of who is told of the lead.

    Empty if nobody has one.
    """
    if lead.organization.mail_reply_to:
        return lead.organization.mail_reply_to
    people = people_to_tell(lead.organization_id, lead.assignee_id)
    return next((person.email for person in people if person.email), "")
