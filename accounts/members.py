"""Who belongs to an organization, as things stand now."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet

from .models import Membership, Organization, Role


def active_members(organization_id: UUID) -> QuerySet[Membership]:
    """The memberships of those who can sign in."""
    return Membership.objects.filter(organization_id=organization_id, user__is_active=True)


def is_active_member(user_id: UUID, organization_id: UUID) -> bool:
    """Whether this person still may hear of what the organization has."""
    return active_members(organization_id).filter(user_id=user_id).exists()


def language_of(user_id: UUID) -> str:
    """The language of the first organization that the person belongs to, or what they chose there; empty if of none."""
    rows = Membership.objects.filter(user_id=user_id).select_related("organization").order_by("created_at", "pk")
    first = rows.first()
    return (first.language or first.organization.language) if first else ""


def lock_members(organization_ids: Iterable[UUID]) -> None:
    """Until the transaction ends nobody else takes an owner out of these organizations, or lets somebody in."""
    rows = Organization.objects.select_for_update(no_key=True).filter(pk__in=list(organization_ids))
    list(rows.order_by("pk").values_list("pk", flat=True))


def leaves_no_owner(going: QuerySet[Membership]) -> bool:
    """Whether without these memberships some organization has no owner who can sign in."""
    left = Membership.objects.filter(role=Role.OWNER, user__is_active=True).exclude(pk__in=going.values("pk"))
    return going.filter(role=Role.OWNER).exclude(organization__in=left.values("organization")).exists()
