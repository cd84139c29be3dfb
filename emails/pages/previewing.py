"""The mail as one lead would get it."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from accounts import sight
from accounts.models import User
from admin_lists.search import as_uuid, found, looks
from leads.models import Lead

from .. import intents
from ..composing import Composed, compose
from ..models import Campaign
from ..suppression import is_suppressed

#: Leads that a search offers.
OFFERED = 8


def lead_for(campaign: Campaign, person: User, text: str) -> Lead:
    """The lead whose id this is; without one, the first that gets the campaign, or one that is made up.

    Raises `Http404` for a lead of another organization.
    """
    if text:
        lead_id = as_uuid(text)
        lead = _visible(campaign, person).filter(pk=lead_id).first() if lead_id else None
        if lead is None:
            raise Http404
        return lead
    first = _after(campaign, UUID(int=0)) if _sees_leads(campaign, person) else None
    return first or _made_up(campaign)


def next_lead(campaign: Campaign, lead: Lead) -> Lead | None:
    """Another one that gets it."""
    return _after(campaign, lead.pk)


def leads_like(campaign: Campaign, person: User, text: str) -> list[Lead]:
    """Leads whose name or address begins like this."""
    rows = _visible(campaign, person)
    if not text:
        return []
    like = looks(rows, text, ids=("id",), exact=(), beginnings=("email_key", "name_key"))
    return list(found(rows, like).order_by("name_key", "pk")[:OFFERED])


def composed_for(campaign: Campaign, lead: Lead) -> Composed:
    """The mail, with a link to unsubscribe that does nothing."""
    return compose(intents.campaign_preview(campaign, lead))


def why_not(campaign: Campaign, lead: Lead) -> str:
    """Why this lead does not get the campaign; empty if it does, or is made up."""
    if (
        lead._state.adding
        or (gets := intents.campaign_leads(campaign).filter(pk=lead.pk).exists())
        and not (is_suppressed(lead.email, campaign.organization_id))
    ):
        return ""
    if gets:
        return _("An earlier email to this address bounced or was reported as spam.")
    if not lead.email_key:
        return _("This lead has no email address.")
    if lead.unsubscribed_at is not None:
        return _("This lead has unsubscribed.")
    if lead.marketing_consent_at is None:
        return _("This lead has not agreed to get news and offers.")
    return _("This lead is not among those you chose.")


def _after(campaign: Campaign, lead_id: UUID) -> Lead | None:
    # the bound lets SQLite walk along the index of such leads
    return intents.campaign_leads(campaign).filter(pk__gt=lead_id).order_by("pk").first()


def _sees_leads(campaign: Campaign, person: User) -> bool:
    return sight.may(person, "leads.view_lead", campaign.organization_id)


def _visible(campaign: Campaign, person: User) -> QuerySet[Lead]:
    rows = Lead.present.select_related("organization").filter(organization_id=campaign.organization_id)
    return rows if _sees_leads(campaign, person) else rows.none()


def _made_up(campaign: Campaign) -> Lead:
    return Lead(
        organization=campaign.organization,
        name=_("Maria Example"),
        email="maria@example.com",
        company=_("Example Inc."),
    )
