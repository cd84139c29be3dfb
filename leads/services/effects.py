"""Start jobs about a lead: the intended effect is written down and its job enqueued in one transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from jobs import JobHandle

from ..crm import is_connected
from ..models import CrmDelivery, EffectState, Lead, hash_of_fields
from ..tasks import calculate_lead_score as calculate_lead_score_task
from ..tasks import enrich_lead_data as enrich_lead_data_task
from ..tasks import sync_to_crm


def enrich_lead_data(
    lead_id: UUID, organization_id: UUID, *, delay: timedelta | float | None = None, priority: int | None = None
) -> JobHandle:
    """Have the lead enriched."""
    prepared = enrich_lead_data_task.using(delay=delay, priority=priority, about=about(lead_id))
    return prepared.enqueue(lead_id, organization_id)


def calculate_lead_score(
    lead_id: UUID, organization_id: UUID, *, delay: timedelta | float | None = None, priority: int | None = None
) -> JobHandle:
    """Have the lead scored."""
    prepared = calculate_lead_score_task.using(delay=delay, priority=priority, about=about(lead_id))
    return prepared.enqueue(lead_id, organization_id)


def sync_lead_to_crm(
    lead_id: UUID,
    organization_id: UUID,
    *,
    custom_fields: dict[str, Any] | None = None,
    priority: int | None = None,
) -> JobHandle | None:
    """Have the present version of the lead brought to the CRM. None: the lead is gone, or was delivered already.

    What was only recorded, since no CRM was connected, is delivered once there is one.
    """
    with transaction.atomic():
        lead = Lead.present.select_for_update().filter(pk=lead_id, organization_id=organization_id).first()
        if lead is None:
            return None
        digest = hash_of_fields(custom_fields)
        delivery, created = CrmDelivery.objects.get_or_create(
            lead=lead,
            lead_version=lead.version,
            custom_fields_hash=digest,
            defaults={"organization_id": organization_id, "custom_fields": custom_fields or {}},
        )
        ended = {EffectState.SENT, EffectState.RECORDED, EffectState.SKIPPED}
        if not created and not delivery.reopen(recorded=is_connected(lead.organization)) and delivery.state in ended:
            return None
        key = f"crm:{lead_id}:{lead.version}" + (f":{digest[:16]}" if custom_fields else "")
        prepared = sync_to_crm.using(key=key, priority=priority, about=about(lead_id))
        return prepared.enqueue(lead_id, organization_id, custom_fields)


def about(lead_id: UUID) -> tuple[str, str]:
    """The lead as the object that a job is about, without loading it."""
    return Lead._meta.label_lower, str(lead_id)
