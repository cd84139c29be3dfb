"""What jobs brought to an organization's CRM, for the pages of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs import CausedJob, JobEffect

from .models import CrmDelivery
from .tasks import sync_to_crm


def find(jobs: Sequence[CausedJob]) -> Iterator[JobEffect]:
    """Each delivery that one of the jobs took."""
    syncs = {job.id: str(job.arguments.get("lead_id")) for job in jobs if job.task == sync_to_crm.name}
    deliveries = CrmDelivery.objects.filter(lead_id__in=set(syncs.values()), claimed_by__in=list(syncs))
    for delivery in deliveries.defer("payload", "response_body"):
        at = delivery.sent_at or delivery.claimed_at or delivery.created_at
        yield JobEffect(delivery, str(delivery.get_state_display()), at, delivery.claimed_by)
