"""What the jobs of single mails do. A row that is gone is a quiet end, a second run sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction

from jobs import PermanentError, RetryLater
from leads.models import EffectState, Lead, LeadStatus
from leads.models.effect import LEAD_ERASED, NO_MAIL, UNCLEAR

from . import campaigns, intents, transport
from .composing import TO_LEADS, compose
from .models import EmailMessage

Outcome = dict[str, Any]
#: Nothing that a job still has to do.
ENDED = frozenset({EffectState.SENT, EffectState.RECORDED, EffectState.SKIPPED})


def deliver(message_id: UUID, job_id: UUID, *, last_attempt: bool) -> Outcome:
    """Send a mail once, unless it was sent, or nobody wants it any more.

    Raises `PermanentError` for a mail that is unclear, whoever starts its job again, and for one to a member that was
    refused. `last_attempt` says that the queue will not try again.
    """
    message = EmailMessage.objects.select_related("organization", "lead", "campaign").filter(pk=message_id).first()
    if message is None:
        return {"outcome": "the mail's row is gone"}
    try:
        return _deliver(message, job_id, last_attempt)
    finally:
        if message.campaign_id is not None:
            campaigns.end(message.campaign_id)


def follow_up(lead_id: UUID, organization_id: UUID, step: int, *, start: Callable[[EmailMessage], object]) -> Outcome:
    """State a mail to a lead that nobody has touched, and start its job; otherwise end quietly."""
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
        message, created = intents.state_follow_up(lead, step)
        if not created:
            return {"outcome": "stated already", "mail": str(message.id)}
        start(message)
    return {"outcome": "stated", "mail": str(message.id)}


def is_untouched(lead: Lead) -> bool:
    """Whether no person has done anything with the lead."""
    touched = lead.notes.exists() or lead.activities.filter(actor__isnull=False).exists()
    return lead.status == LeadStatus.NEW and not touched


def _deliver(message: EmailMessage, job_id: UUID, last_attempt: bool) -> Outcome:
    if message.state in ENDED:
        return {"outcome": f"{message.state} already"}
    # a mail server does not recognise a repetition
    if not message.claim(job_id, repeatable=False):
        return _not_taken(message)
    # only now: what another try has sent, perhaps, must not be called unsent
    if reason := _not_wanted(message):
        message.settle(EffectState.SKIPPED, error=reason)
        return {"outcome": reason}
    try:
        composed = compose(message)
        sent = transport.send(message, composed)
    except Exception as error:
        return _not_sent(message, error, last_attempt)
    state = EffectState.RECORDED if sent.recorded else EffectState.SENT
    message.settle(state, subject=composed.subject, text=composed.text, html=composed.html, receipt=sent.receipt[:300])
    return {"outcome": state.value}


def _not_wanted(message: EmailMessage) -> str:
    if message.lead is None:
        return ""
    if message.lead.erased_at is not None:
        return LEAD_ERASED
    return "" if intents.is_wanted(message, message.lead) else NO_MAIL


def _not_taken(message: EmailMessage) -> Outcome:
    if message.state == EffectState.UNCLEAR:
        raise PermanentError(UNCLEAR)
    return _refused(message, message.error) if message.state == EffectState.REFUSED else {"outcome": message.state}


def _not_sent(message: EmailMessage, error: Exception, last_attempt: bool) -> Outcome:
    """Write down how the try ended, and tell the queue: by an exception, or by an outcome where nothing is to do."""
    text = str(error) if isinstance(error, transport.NotSent) else f"{type(error).__name__}: {error}"
    if isinstance(error, transport.Unclear):
        message.settle(EffectState.UNCLEAR, error=text)
        raise PermanentError(f"{UNCLEAR} ({text})") from error
    if isinstance(error, transport.Refused):
        message.settle(EffectState.REFUSED, error=text)
        return _refused(message, text)
    if isinstance(error, transport.Misconfigured):
        message.settle(EffectState.FAILED, error=text)
        raise PermanentError(text) from error
    if isinstance(error, transport.TryLater) and error.retry_after is not None:
        message.settle(EffectState.PENDING, error=text)
        raise RetryLater(error.retry_after, whole_queue=error.whole_queue, reason=text) from error
    message.settle(EffectState.FAILED if last_attempt else EffectState.PENDING, error=text)
    raise error


def _refused(message: EmailMessage, text: str) -> Outcome:
    if message.kind in TO_LEADS:
        return {"outcome": EffectState.REFUSED.value}
    raise PermanentError(text)
