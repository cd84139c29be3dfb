"""A campaign from its first chunk to its end: every mail is stated with its job, and every mail ends.

Whether a campaign's mails may leave is said by its row alone. A mail whose turn comes while the campaign is paused lets
go of its job; the job that plans the campaign takes up such mails first, once it is resumed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from jobs import JobHandle, RetryLater, State, UnknownJob, jobs_about
from leads.models import EffectState
from leads.models.effect import BROKEN_OFF, CAMPAIGN_CANCELLED, JOB_CANCELLED, JOB_ENDED

from . import intents
from .models import Campaign, EmailMessage

Outcome = dict[str, Any]
#: Leads that one transaction states mails for, or mails that it gives a job again.
CHUNK = 100
#: Mails that one look puts right at most, or that one transaction calls off.
ORPHANS = PIECE = 1_000
#: Seconds between two looks at a campaign whose mails have not all ended: a tenth of its age, within these.
SHORTEST_LOOK, LONGEST_LOOK = 30.0, 3_600.0
#: States of a mail that the campaign has not ended for; and those in which a job is to go on with it.
OPEN = (EffectState.PENDING, EffectState.SENDING)
_WITH_A_JOB = (*OPEN, EffectState.DEFERRED)
#: Those in which a mail has no job while its campaign is paused; of those that are unclear, if a try does no harm.
_WAITING = (EffectState.PENDING, EffectState.DEFERRED)
_HELD = (*_WAITING, EffectState.UNCLEAR)
#: The mail went out.
WENT_OUT = (EffectState.SENT, EffectState.RECORDED)
_HOLDING = (Campaign.State.PAUSED, Campaign.State.CANCELLED)
_BEGUN = (Campaign.State.SENDING, Campaign.State.SENT)
_ENDED = (Campaign.State.SENT, Campaign.State.CANCELLED)
_LIVE = (State.PENDING, State.QUEUED, State.ACTIVE)


def begin(campaign: Campaign) -> None:
    """Let a campaign's mails leave from now on; in the caller's transaction, which has locked its row."""
    now = timezone.now()
    campaign.state, campaign.started_at, campaign.resumed_at = Campaign.State.SENDING, now, now
    campaign.recipients = intents.campaign_leads(campaign).count()
    campaign.save(update_fields=["state", "started_at", "resumed_at", "recipients"])


def resume(campaign: Campaign) -> None:
    """Let a paused campaign's mails leave again; in the caller's transaction, which has locked its row."""
    campaign.state, campaign.resumed_at = Campaign.State.SENDING, timezone.now()
    campaign.ended_before = EmailMessage.objects.filter(campaign=campaign).exclude(state__in=_WITH_A_JOB).count()
    campaign.save(update_fields=["state", "resumed_at", "ended_before"])


def plan(
    campaign_id: UUID,
    after: UUID | None,
    run: int,
    *,
    start_mails: Callable[[Campaign, Sequence[EmailMessage]], object],
    start_next: Callable[[Campaign, float], object],
) -> Outcome:
    """State a mail for each of the next leads behind `after`, each with its job, and the job of the next chunk.

    All in one transaction that moves the campaign's position: a chunk that runs twice states nothing twice. Behind the
    last chunk, look after the mails until all have ended, also those that are deferred when the campaign ends.
    """
    while _take_up(campaign_id, run, start_mails):
        pass
    with transaction.atomic():
        campaign = _locked(campaign_id)
        if campaign is None:
            return {"outcome": "the campaign is gone"}
        if campaign.run != run:
            return {"outcome": "a later run of the campaign stands for it"}
        if campaign.state == Campaign.State.SCHEDULED and campaign.starts_at is not None:
            if campaign.starts_at > timezone.now():
                raise RetryLater((campaign.starts_at - timezone.now()).total_seconds(), reason="it begins later")
            begin(campaign)
        if campaign.state in _BEGUN and campaign.position != after:
            return {"outcome": "this part of the campaign is planned"}
        if campaign.state in _BEGUN and campaign.planned_at is None:
            return _plan(campaign, after, start_mails, start_next)
    if campaign.state == Campaign.State.CANCELLED:
        _call_off(campaign)
    elif campaign.state not in _BEGUN:
        return {"outcome": f"the campaign is {campaign.state}"}
    return _look(campaign)


def hold(message: EmailMessage, job_id: UUID, *, recognises_repetition: bool) -> Outcome | None:
    """Let the mail's job end without a try if its campaign is paused or cancelled; None if it may go.

    What a try that broke off has left stays for whoever knows what became of it, unless a repetition is recognised.
    """
    campaign = message.campaign
    if campaign is None or campaign.state not in _HOLDING:
        return None
    with transaction.atomic():
        # locked, and read again: a mail must not be held behind the look that takes up those that are
        campaign = _locked(campaign.pk)
        if campaign is None or campaign.state not in _HOLDING:
            return None
        return _hold(message, campaign, job_id, recognises_repetition)


def end(campaign_id: UUID) -> bool:
    """Mark the campaign as sent if all of it is planned and none of its mails is open any more."""
    mails = EmailMessage.objects.filter(campaign_id=campaign_id)
    if mails.filter(state__in=OPEN).exists():
        return False
    rows = Campaign.objects.filter(pk=campaign_id, state=Campaign.State.SENDING, planned_at__isnull=False)
    ended = bool(rows.update(state=Campaign.State.SENT, ended_at=timezone.now()))
    uncounted = Campaign.objects.filter(pk=campaign_id, state__in=_ENDED, sent__isnull=True)
    if uncounted.exists() and not mails.filter(state=EffectState.DEFERRED).exists():
        uncounted.update(sent=mails.filter(state__in=WENT_OUT).count())
    return ended


def has_mails_to_come(campaign: Campaign) -> bool:
    """Whether some of its mails may still leave: it is not over, or has deferred ones."""
    if campaign.state != Campaign.State.SENT:
        return campaign.state in {Campaign.State.SCHEDULED, Campaign.State.SENDING, Campaign.State.PAUSED}
    return EmailMessage.objects.filter(campaign=campaign, state__in=_WITH_A_JOB).exists()


def _locked(campaign_id: UUID) -> Campaign | None:
    return Campaign.objects.select_for_update().filter(pk=campaign_id).first()


def _take_up(
    campaign_id: UUID, run: int, start_mails: Callable[[Campaign, Sequence[EmailMessage]], object]
) -> list[EmailMessage]:
    """Give a job again to mails that let go of theirs in a pause."""
    with transaction.atomic():
        campaign = _locked(campaign_id)
        if campaign is None or campaign.run != run or campaign.state not in _BEGUN:
            return []
        rows = EmailMessage.objects.filter(campaign=campaign, job_id__isnull=True, state__in=_HELD)
        held = list(rows.select_for_update()[:CHUNK])
        if held:
            start_mails(campaign, held)
        return held


def _hold(message: EmailMessage, campaign: Campaign, job_id: UUID, recognises_repetition: bool) -> Outcome | None:
    rows = EmailMessage.objects.filter(pk=message.pk, job_id=job_id)
    if recognises_repetition:
        broken_off = rows.filter(state=EffectState.SENDING, claimed_by=job_id)
        broken_off.update(state=EffectState.UNCLEAR, error=BROKEN_OFF)
    elif message.state in {EffectState.SENDING, EffectState.UNCLEAR}:
        return None
    if campaign.state == Campaign.State.CANCELLED:
        _skip(rows)
    else:
        rows.filter(state__in=_HELD).update(job_id=None)
    return {"outcome": f"the campaign is {campaign.state}"}


def _plan(
    campaign: Campaign,
    after: UUID | None,
    start_mails: Callable[[Campaign, Sequence[EmailMessage]], object],
    start_next: Callable[[Campaign, float], object],
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
        campaign.recipients = EmailMessage.objects.filter(campaign=campaign).count()
    campaign.save(update_fields=["position", "planned_at", "recipients"])
    if campaign.position is not None:
        start_next(campaign, SHORTEST_LOOK if last else 0.0)
    elif last:
        end(campaign.pk)
    return {"outcome": "planned", "mails": len(messages), "last": last}


def _call_off(campaign: Campaign) -> None:
    """Of a cancelled campaign, end the mails that wait, and cancel their jobs: those that are on their way go."""
    waiting = EmailMessage.objects.filter(campaign=campaign, state__in=_WAITING)
    while found := list(waiting.values_list("pk", "job_id")[:PIECE]):
        _skip(EmailMessage.objects.filter(pk__in=[pk for pk, _job_id in found]))
        for _pk, job_id in found:
            if job_id is not None:
                with contextlib.suppress(UnknownJob):  # cleared away, and with it nothing is left to cancel
                    JobHandle(job_id).cancel()


def _skip(rows: QuerySet[EmailMessage]) -> None:
    rows.filter(state__in=_WAITING).update(state=EffectState.SKIPPED, error=CAMPAIGN_CANCELLED)


def _look(campaign: Campaign) -> Outcome:
    """The net under `end`, which a worker that was killed may not have reached: mails whose job is gone end here."""
    put_right = _end_orphans(campaign)
    end(campaign.pk)
    if not EmailMessage.objects.filter(campaign=campaign, state__in=_WITH_A_JOB).exists():
        return {"outcome": "ended", "without a job": put_right}
    age = timezone.now() - (campaign.planned_at or campaign.ended_at or timezone.now())
    wait = min(max(age / timedelta(seconds=10), SHORTEST_LOOK), LONGEST_LOOK)
    raise RetryLater(wait, reason="some of its mails have not ended")


def _end_orphans(campaign: Campaign) -> int:
    """A mail that is to go and whose job is gone: cancelled, killed its workers, or cleared away."""
    jobs = jobs_about(campaign).order_by().filter(pk=OuterRef("job_id"))
    mails = EmailMessage.objects.filter(campaign=campaign, state__in=_WITH_A_JOB, job_id__isnull=False)
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
