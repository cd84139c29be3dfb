"""A campaign from its first chunk to its end: every mail is stated with its job, and every mail ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from jobs import RetryLater, State, jobs_about
from leads.models import EffectState
from leads.models.effect import BROKEN_OFF, JOB_CANCELLED, JOB_ENDED

from . import intents
from .models import Campaign, EmailMessage

Outcome = dict[str, Any]
#: Leads that one transaction states mails for.
CHUNK = 100
#: Mails that one look puts right at most.
ORPHANS = 1_000
#: Seconds between two looks at a campaign whose mails have not all ended: a tenth of its age, within these.
SHORTEST_LOOK, LONGEST_LOOK = 30.0, 3_600.0
#: States of a mail that the campaign has not ended for; and those in which a job is to go on with it.
OPEN = (EffectState.PENDING, EffectState.SENDING)
_WITH_A_JOB = (*OPEN, EffectState.DEFERRED)
_BEGUN = (Campaign.State.SENDING, Campaign.State.SENT)
_LIVE = (State.PENDING, State.QUEUED, State.ACTIVE)


def plan(
    campaign_id: UUID,
    after: UUID | None,
    *,
    start_mails: Callable[[Campaign, Sequence[EmailMessage]], object],
    start_next: Callable[[UUID, UUID, float], object],
) -> Outcome:
    """State a mail for each of the next leads behind `after`, each with its job, and the job of the next chunk.

    All in one transaction that moves the campaign's position: a chunk that runs twice states nothing twice. Behind the
    last chunk, look after the mails until all have ended, also those that are deferred when the campaign ends.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().filter(pk=campaign_id, state__in=_BEGUN).first()
        if campaign is None:
            return {"outcome": "the campaign is gone"}
        if campaign.position != after:
            return {"outcome": "this part of the campaign is planned"}
        if campaign.planned_at is None:
            return _plan(campaign, after, start_mails, start_next)
    return _look(campaign)


def end(campaign_id: UUID) -> bool:
    """Mark the campaign as sent if all of it is planned and none of its mails is open any more."""
    if EmailMessage.objects.filter(campaign_id=campaign_id, state__in=OPEN).exists():
        return False
    rows = Campaign.objects.filter(pk=campaign_id, state=Campaign.State.SENDING, planned_at__isnull=False)
    return bool(rows.update(state=Campaign.State.SENT, ended_at=timezone.now()))


def _plan(
    campaign: Campaign,
    after: UUID | None,
    start_mails: Callable[[Campaign, Sequence[EmailMessage]], object],
    start_next: Callable[[UUID, UUID, float], object],
) -> Outcome:
    leads = intents.campaign_leads(campaign).order_by("pk")
    # locked: a lead that is erased at this moment must not be written down again
    chunk = list((leads.filter(pk__gt=after) if after else leads).select_for_update(of=("self",))[:CHUNK])
    messages = intents.state_campaign_mails(campaign, chunk)
    start_mails(campaign, messages)
    last = len(chunk) < CHUNK
    if chunk:
        campaign.position = chunk[-1].pk
    if last:
        campaign.planned_at = timezone.now()
    campaign.save(update_fields=["position", "planned_at"])
    if campaign.position is not None:
        start_next(campaign.pk, campaign.position, SHORTEST_LOOK if last else 0.0)
    elif last:
        end(campaign.pk)
    return {"outcome": "planned", "mails": len(messages), "last": last}


def _look(campaign: Campaign) -> Outcome:
    """The net under `end`, which a worker that was killed may not have reached: mails whose job is gone end here."""
    put_right = _end_orphans(campaign)
    end(campaign.pk)
    if not EmailMessage.objects.filter(campaign=campaign, state__in=_WITH_A_JOB).exists():
        return {"outcome": "ended", "without a job": put_right}
    age = timezone.now() - (campaign.planned_at or timezone.now())
    wait = min(max(age / timedelta(seconds=10), SHORTEST_LOOK), LONGEST_LOOK)
    raise RetryLater(wait, reason="some of its mails have not ended")


def _end_orphans(campaign: Campaign) -> int:
    """A mail that is to go and whose job is gone: cancelled, killed its workers, or cleared away."""
    jobs = jobs_about(campaign).order_by().filter(pk=OuterRef("job_id"))
    mails = EmailMessage.objects.filter(campaign=campaign, state__in=_WITH_A_JOB)
    lost = mails.exclude(Exists(jobs.filter(state__in=_LIVE)))
    found = list(lost.values_list("pk", "job_id")[:ORPHANS])
    if not found:
        return 0
    cancelled = {str(pk) for pk in jobs_about(campaign).filter(state=State.CANCELLED).values_list("pk", flat=True)}
    number = 0
    for pk, job_id in found:
        rows = EmailMessage.objects.filter(pk=pk, job_id=job_id)
        number += _end(rows, str(job_id) in cancelled)
    return number


def _end(rows: QuerySet[EmailMessage], cancelled: bool) -> int:
    broken_off = rows.filter(state=EffectState.SENDING).update(state=EffectState.UNCLEAR, error=BROKEN_OFF)
    state, error = (EffectState.SKIPPED, JOB_CANCELLED) if cancelled else (EffectState.FAILED, JOB_ENDED)
    return broken_off or rows.filter(state__in=_WITH_A_JOB).update(state=state, error=error)
