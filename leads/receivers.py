"""What follows from the events of leads, on the lead queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from accounts.models import Organization
from jobs import receives

from . import services
from .crm import is_connected
from .events import (
    LeadAssigned,
    LeadChanged,
    LeadCreated,
    LeadEnriched,
    LeadReturned,
    LeadScored,
    LeadScoreDecayed,
    LeadStatusChanged,
    LeadUnsubscribed,
    lead_assigned,
    lead_changed,
    lead_created,
    lead_enriched,
    lead_returned,
    lead_score_decayed,
    lead_scored,
    lead_status_changed,
    lead_unsubscribed,
)
from .tasks import calculate_lead_score, enrich_lead_data, sync_to_crm

ENRICH_AFTER = timedelta(seconds=10)
#: The priority of what nobody waits for.
BY_THE_WAY = 9


@receives(lead_created, starts=[calculate_lead_score])
def score_new_lead(sender: Any, event: LeadCreated, **kwargs: Any) -> None:
    """A new lead is scored at once."""
    services.calculate_lead_score(event.lead_id, event.organization_id)


@receives(lead_created, starts=[enrich_lead_data])
def enrich_new_lead(sender: Any, event: LeadCreated, **kwargs: Any) -> None:
    """A new lead is enriched a little later."""
    services.enrich_lead_data(event.lead_id, event.organization_id, delay=ENRICH_AFTER, priority=5)


@receives(lead_returned, starts=[calculate_lead_score])
def score_returned_lead(sender: Any, event: LeadReturned, **kwargs: Any) -> None:
    """Who writes again is worth more; with the score the CRM learns the new message."""
    services.calculate_lead_score(event.lead_id, event.organization_id)


@receives(lead_changed, starts=[calculate_lead_score])
def score_changed_lead(sender: Any, event: LeadChanged, **kwargs: Any) -> None:
    """What was edited may count in the score."""
    services.calculate_lead_score(event.lead_id, event.organization_id)


@receives(lead_unsubscribed, starts=[calculate_lead_score])
def score_unsubscribed_lead(sender: Any, event: LeadUnsubscribed, **kwargs: Any) -> None:
    """Who unsubscribed is worth less."""
    services.calculate_lead_score(event.lead_id, event.organization_id)


@receives(lead_enriched, starts=[calculate_lead_score])
def score_enriched_lead(sender: Any, event: LeadEnriched, **kwargs: Any) -> None:
    """More is known: the score is calculated again."""
    services.calculate_lead_score(event.lead_id, event.organization_id)


@receives(lead_status_changed, starts=[calculate_lead_score])
def score_moved_lead(sender: Any, event: LeadStatusChanged, **kwargs: Any) -> None:
    """The status counts in the score."""
    services.calculate_lead_score(event.lead_id, event.organization_id)


@receives(lead_scored, starts=[sync_to_crm])
def sync_scored_lead(sender: Any, event: LeadScored, **kwargs: Any) -> None:
    """The CRM learns the score, and with it all that changed before."""
    services.sync_lead_to_crm(event.lead_id, event.organization_id)


@receives(lead_score_decayed, starts=[sync_to_crm])
def sync_decayed_score(sender: Any, event: LeadScoreDecayed, **kwargs: Any) -> None:
    """A connected CRM learns the lower score, behind all that somebody waits for; without one there is no news."""
    if is_connected(Organization.objects.get(pk=event.organization_id)):
        services.sync_lead_to_crm(event.lead_id, event.organization_id, priority=BY_THE_WAY)


@receives(lead_status_changed, starts=[sync_to_crm])
def sync_moved_lead(sender: Any, event: LeadStatusChanged, **kwargs: Any) -> None:
    """The CRM learns the status."""
    services.sync_lead_to_crm(event.lead_id, event.organization_id)


@receives(lead_changed, starts=[sync_to_crm])
def sync_changed_lead(sender: Any, event: LeadChanged, **kwargs: Any) -> None:
    """The CRM learns what was edited."""
    services.sync_lead_to_crm(event.lead_id, event.organization_id)


@receives(lead_assigned, starts=[sync_to_crm])
def sync_assigned_lead(sender: Any, event: LeadAssigned, **kwargs: Any) -> None:
    """The CRM learns who looks after the lead."""
    services.sync_lead_to_crm(event.lead_id, event.organization_id)


@receives(lead_unsubscribed, starts=[sync_to_crm])
def sync_unsubscribed_lead(sender: Any, event: LeadUnsubscribed, **kwargs: Any) -> None:
    """The CRM learns that the lead wants no more mail."""
    services.sync_lead_to_crm(event.lead_id, event.organization_id)
