"""The jobs that `emails` runs; what they do stands in `emails.work`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from config.queues import email, lead
from jobs import JobHandle, current_job

from . import work
from .models import Campaign

CAMPAIGN_PRIORITY = 8


@email.task()
def send_welcome(message_id: UUID) -> dict[str, Any]:
    """Greet a new member."""
    return work.deliver(message_id, current_job().id)


@email.task()
def send_lead_notification(message_id: UUID) -> dict[str, Any]:
    """Tell a member about a lead."""
    return work.deliver(message_id, current_job().id)


@email.task()
def send_submission_confirmation(message_id: UUID) -> dict[str, Any]:
    """Tell a lead that its message arrived."""
    return work.deliver(message_id, current_job().id)


@email.task()
def send_consent_request(message_id: UUID) -> dict[str, Any]:
    """Ask a lead whether it agrees to be written to."""
    return work.deliver(message_id, current_job().id)


@email.task()
def send_bulk_email(campaign_id: UUID, after: UUID | None = None) -> dict[str, Any]:
    """Send a campaign to the next part of its leads."""
    job = current_job()
    return work.send_chunk(campaign_id, after, job.id, still_mine=job.still_mine, start_next=start_part)


def start_part(campaign_id: UUID, after: UUID | None = None) -> JobHandle:
    """Enqueue one part of a campaign, behind all mail that somebody waits for."""
    prepared = send_bulk_email.using(
        priority=CAMPAIGN_PRIORITY,
        key=f"campaign:{campaign_id}:{after or 'start'}",
        about=(Campaign._meta.label_lower, str(campaign_id)),
    )
    return prepared.enqueue(campaign_id, after)


@lead.task()
def send_follow_up(lead_id: UUID, organization_id: UUID, step: int = 1) -> dict[str, Any]:
    """Write to a lead that nobody has touched."""
    return work.follow_up(lead_id, organization_id, step, current_job().id)
