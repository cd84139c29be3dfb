"""The jobs that `leads` runs; what they do stands in `leads.work`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from config.queues import lead
from jobs import Breaker, Cron, JobHandle, current_job

from . import decay, enrichment, retention, stale, work
from .imports import running

#: Seconds until an erasure is looked at again.
ERASE_AGAIN_AFTER = 10.0
#: Behind all that somebody waits for.
IMPORT_PRIORITY = 10
#: One provider for all organizations. A CRM is each organization's own: `crm.pause` holds back one that is too slow.
ENRICHMENT = Breaker(enrichment.ENRICHMENT)


@lead.task(group="organization_id", limits=[ENRICHMENT])
def enrich_lead_data(lead_id: UUID, organization_id: UUID) -> dict[str, Any]:
    """Find out more about the lead."""
    return work.enrich_lead(lead_id, organization_id)


@lead.task(group="organization_id")
def calculate_lead_score(lead_id: UUID, organization_id: UUID) -> dict[str, Any]:
    """Calculate the lead's score."""
    return work.score_lead(lead_id, organization_id)


@lead.task(group="organization_id")
def sync_to_crm(lead_id: UUID, organization_id: UUID, custom_fields: dict[str, Any] | None = None) -> dict[str, Any]:
    """Bring the lead to the organisation's CRM."""
    return work.deliver_to_crm(lead_id, organization_id, custom_fields, current_job().id)


@lead.task()
def process_submission(submission_id: UUID) -> dict[str, Any]:
    """Make a lead of what came in, if the request that brought it did not."""
    return work.process_submission(submission_id)


# one piece after another: rows of one address keep the file's order, and other jobs find a free place
@lead.task(sequence="organization_id", priority=IMPORT_PRIORITY)
def import_leads(piece_id: UUID, organization_id: UUID) -> dict[str, Any]:
    """Make leads of so many rows of a file."""
    return running.run_piece(piece_id, organization_id, enrich=_enrich_imported)


@lead.task()
def finish_import(import_id: UUID, organization_id: UUID) -> dict[str, Any]:
    """Count what became of a file's rows, and tell."""
    return running.finish(import_id, organization_id)


@lead.task(schedule=Cron("30 3 * * *", overlap="skip"))
def forget_imports() -> dict[str, Any]:
    """Remove the rows of files that nobody needs any more."""
    return retention.forget_imports(current_job().iterate(range(retention.MOST_PIECES)))


@lead.task(schedule=Cron("0 3 * * *", overlap="skip"))
def forget_submissions() -> dict[str, Any]:
    """Delete the submissions that are older than the setting says."""
    return retention.forget_submissions(current_job().iterate(range(retention.MOST_PIECES)))


@lead.task(schedule=Cron("0 2 * * *", overlap="skip"))
def decay_scores() -> dict[str, Any]:
    """Lower the scores of leads whose contacts grow old."""
    return decay.decay(current_job().iterate(range(decay.MOST_PIECES)))


@lead.task(schedule=Cron("0 6 * * *", overlap="skip"))
def remind_of_stale_leads() -> dict[str, Any]:
    """Tell assignees of leads that nobody has touched for long."""
    return stale.remind(current_job().iterate(range(stale.MOST_PIECES)))


@lead.task()
def finish_erasure(lead_id: UUID, running: list[UUID] | None = None) -> dict[str, Any]:
    """Erase what was still in use when the lead was erased."""
    return work.finish_erasure(lead_id, running or [], erase_later, spare=[finish_erasure.name])


def erase_later(lead_id: UUID, running: list[UUID] | None = None) -> JobHandle:
    """Enqueue what finishes an erasure: jobs that still run, or all of it if a process died."""
    return finish_erasure.using(delay=ERASE_AGAIN_AFTER).enqueue(lead_id, running)


def _enrich_imported(lead_ids: Sequence[UUID], organization_id: UUID, tag: str) -> None:
    for lead_id in lead_ids:
        # each about its lead, so that an erasure finds it
        about = ("leads.lead", str(lead_id))
        enrich_lead_data.using(priority=IMPORT_PRIORITY, tags=[tag], about=about).enqueue(lead_id, organization_id)
