"""What follows from the events of leads, on the lead queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jobs import receives

from . import services
from .events import (
    LeadCreated,
    LeadEnriched,
    LeadScored,
    LeadStatusChanged,
    lead_created,
    lead_enriched,
    lead_scored,
    lead_status_changed,
)
from .tasks import calculate_lead_score, enrich_lead_data, sync_to_crm

ENRICH_AFTER = timedelta(seconds=10)


@receives(lead_created, starts=[calculate_lead_score])
def score_new_lead(sender: Any, event: LeadCreated, **kwargs: Any) -> None:
    """A new lead is scored at once."""
    services.calculate_lead_score(event.lead_id, event.organization_id)


@receives(lead_created, starts=[enrich_lead_data])
def enrich_new_lead(sender: Any, event: LeadCreated, **kwargs: Any) -> None:
    """A new lead is enriched a little later."""
    services.enrich_lead_data(event.lead_id, event.organization_id, delay=ENRICH_AFTER, priority=5)


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


@receives(lead_status_changed, starts=[sync_to_crm])
def sync_moved_lead(sender: Any, event: LeadStatusChanged, **kwargs: Any) -> None:
    """The CRM learns the status."""
    services.sync_lead_to_crm(event.lead_id, event.organization_id)
