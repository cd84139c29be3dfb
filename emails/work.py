"""What the jobs of `emails` do. A row that is gone is a quiet end, a second run sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from jobs import PermanentError, RetryLater
from leads.models import EffectState, Lead, LeadStatus
from leads.models.effect import LEAD_ERASED, NO_MAIL, SUPPRESSED

from . import intents, transport
from .composing import TO_LEADS, Composed, compose
from .models import Campaign, EmailMessage
from .suppression import is_suppressed

Outcome = dict[str, Any]
CHUNK = 50
#: Nothing that a job still has to do.
ENDED = frozenset({EffectState.SENT, EffectState.RECORDED, EffectState.REFUSED, EffectState.SKIPPED})
UNCLEAR = "perhaps sent: only Send again on the mail sends it once more"


def deliver(message_id: UUID, job_id: UUID) -> Outcome:
    """Send a mail, unless it was sent, or nobody wants it any more."""
    message = EmailMessage.objects.select_related("organization", "lead", "campaign").filter(pk=message_id).first()
    if message is None:
        return {"outcome": "the mail's row is gone"}
    return _deliver(message, job_id)


def follow_up(lead_id: UUID, organization_id: UUID, step: int, job_id: UUID) -> Outcome:
    """Write to a lead that nobody has touched; otherwise end quietly."""
    # locked: a lead that is erased at this moment must not be written down again
    with transaction.atomic():
        leads = Lead.present.select_for_update(of=("self",)).select_related("organization")
        lead = leads.filter(pk=lead_id, organization_id=organization_id).first()
        if lead is None:
            return {"outcome": "the lead is gone"}
        if not is_untouched(lead):
            return {"outcome": "somebody looks after the lead"}
        if not intents.may_write_to(lead, EmailMessage.Kind.FOLLOW_UP):
            return {"outcome": "the lead gets no mail"}
        message = intents.state_follow_up(lead, step)
    return deliver(message.id, job_id)


def is_untouched(lead: Lead) -> bool:
    """Whether no person has done anything with the lead."""
    touched = lead.notes.exists() or lead.activities.filter(actor__isnull=False).exists()
    return lead.status == LeadStatus.NEW and not touched


def send_chunk(
    campaign_id: UUID,
    after: UUID | None,
    job_id: UUID,
    *,
    still_mine: Callable[[], bool],
    start_next: Callable[[UUID, UUID], object],
) -> Outcome:
    """Send a campaign to the next leads after `after`; a transaction at the end marks it and starts the next."""
    campaign = Campaign.objects.filter(pk=campaign_id, state=Campaign.State.SENDING).first()
    if campaign is None or campaign.position != after:
        return {"outcome": "this part of the campaign is done"}
    leads = intents.campaign_leads(campaign).select_for_update(of=("self",))
    # locked: a lead that is erased at this moment must not be written down again
    with transaction.atomic():
        chunk = list((leads.filter(pk__gt=after) if after else leads).order_by("pk")[:CHUNK])
        messages = intents.state_campaign_mails(campaign, chunk)
    sent = 0
    for message in messages:
        if not still_mine():
            return {"outcome": "another worker has this part now", "sent": sent}
        try:
            sent += _deliver(message, job_id)["outcome"] in {EffectState.SENT, EffectState.RECORDED}
        except PermanentError:
            # one address that is refused must not stop the others; the row says why
            continue
    at_end = len(chunk) < CHUNK
    with transaction.atomic():
        rows = Campaign.objects.filter(pk=campaign_id, state=Campaign.State.SENDING)
        rows = rows.filter(position__isnull=True) if after is None else rows.filter(position=after)
        if at_end:
            last = chunk[-1].pk if chunk else after
            rows.update(position=last, state=Campaign.State.SENT, ended_at=timezone.now())
        elif rows.update(position=chunk[-1].pk):
            start_next(campaign_id, chunk[-1].pk)
    return {"outcome": "part sent", "sent": sent, "last": at_end}


def _deliver(message: EmailMessage, job_id: UUID) -> Outcome:
    if message.state in ENDED:
        return {"outcome": f"{message.state} already"}
    if message.lead is not None and message.lead.erased_at is not None:
        message.settle(EffectState.SKIPPED, error=LEAD_ERASED)
        return {"outcome": "the lead was erased"}
    if message.lead is not None and not intents.is_wanted(message, message.lead):
        message.settle(EffectState.SKIPPED, error=NO_MAIL)
        return {"outcome": "the lead gets no mail"}
    perhaps_sent = message.state in {EffectState.SENDING, EffectState.UNCLEAR} and message.offered_at is not None
    way = transport.way_out()
    if not message.claim_to_send(job_id, way.name, recognises_repetition=way.recognises_repetition):
        if message.state == EffectState.UNCLEAR:
            raise PermanentError(UNCLEAR)
        return {"outcome": f"not sent: {message.state}"}
    if is_suppressed(message.to, message.organization_id):
        message.settle(EffectState.UNCLEAR if perhaps_sent else EffectState.SKIPPED, error=SUPPRESSED)
        return {"outcome": SUPPRESSED}
    try:
        composed = compose(message)
        sent = transport.send(message, composed)
    except transport.Unclear as error:
        message.settle(EffectState.UNCLEAR, error=str(error), **_as_sent(composed))
        if message.state == EffectState.SENT:
            return {"outcome": "sent, as the mail service reports"}
        if error.repeatable:
            raise
        raise PermanentError(f"{UNCLEAR}: {error}") from error
    except transport.Refused as error:
        message.settle(EffectState.REFUSED, error=str(error))
        if message.kind in TO_LEADS:
            # an answer like any other: the campaign's counts and the lead's page tell of it
            return {"outcome": "refused"}
        raise PermanentError(str(error)) from error
    except transport.TryLater as error:
        message.settle(EffectState.FAILED, error=str(error))
        if error.retry_after is not None:
            raise RetryLater(error.retry_after, whole_queue=error.whole_queue, reason=str(error)) from error
        raise
    except transport.Misconfigured as error:
        message.settle(EffectState.FAILED, error=str(error))
        raise PermanentError(str(error)) from error
    except Exception as error:
        message.settle(EffectState.FAILED, error=f"{type(error).__name__}: {error}")
        raise
    state = EffectState.RECORDED if sent.recorded else EffectState.SENT
    message.settle(state, receipt=sent.receipt[:300], **_as_sent(composed))
    return {"outcome": state.value}


def _as_sent(composed: Composed) -> dict[str, str]:
    kept = composed.kept
    return {"subject": composed.subject, "text": kept(composed.text), "html": kept(composed.html)}
