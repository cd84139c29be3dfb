"""What stands in a person's inbox."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q, QuerySet
from django.urls import Resolver404, resolve

from accounts import sight
from accounts.models import User
from leads.models import Lead

from .models import Notification


def inbox_of(user: User) -> QuerySet[Notification]:
    """What the user was told, without what belongs to an organization that they have left."""
    own = Notification.objects.filter(user_id=user.pk)
    ids = sight.organization_ids(user)
    return own if ids is None else own.filter(Q(organization=None) | Q(organization__in=ids))


def with_leads(user: User, notifications: Sequence[Notification]) -> list[tuple[Notification, Lead | None]]:
    """Each notification with the lead that it leads to, if the user may see it: its own text names nobody."""
    lead_ids = {one.pk: _lead_id(one.action_url) for one in notifications}
    leads = Lead.present.filter(pk__in={one for one in lead_ids.values() if one})
    ids = sight.organization_ids(user, "leads.view_lead")
    found = {lead.pk: lead for lead in leads if ids is None or lead.organization_id in ids}
    return [(one, found.get(lead_id) if (lead_id := lead_ids[one.pk]) else None) for one in notifications]


def _lead_id(address: str) -> UUID | None:
    try:
        match = resolve(address.partition("?")[0])
    except Resolver404:
        return None
    found: UUID | None = match.kwargs["lead_id"] if match.view_name == "leads:lead" else None
    return found
