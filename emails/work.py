"""What the jobs of single mails do. A row that is gone is a quiet end, a second run sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.members import is_active_member
from accounts.models import User
from jobs import PermanentError, RetryLater
from leads.models import EffectState, Lead, LeadStatus
from leads.models.effect import LEAD_ERASED, LINK_OVER, NO_DIGEST, NO_MAIL, NO_MEMBER, SUPPRESSED, UNCLEAR

from . import campaigns, digests, intents, transport
from .account_links import OF_ACCOUNTS, is_useful
from .composing import TO_LEADS, Composed, compose
from .deferral import SHORTEST_PAUSE, pause_before
from .models import EmailMessage
from .suppression import is_suppressed

Outcome = dict[str, Any]


class MailUnclear(PermanentError):
    """A mail may have gone out, and nobody knows: no other try follows."""


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


def password_reset(
    user_id: UUID, request_id: UUID, language: str, *, start: Callable[[EmailMessage], object]
) -> Outcome:
    """State the mail with the link for a new password, and start its job; end quietly if nobody may sign in so."""
    with transaction.atomic():
        person = User.objects.filter(pk=user_id, is_active=True).first()
        if person is None:
            return {"outcome": "there is no such user"}
        message, created = intents.state_password_reset(person, request_id, language)
        if created:
            start(message)
    return {"outcome": "stated", "mail": str(message.id)}


def is_untouched(lead: Lead) -> bool:
    """Whether no person has done anything with the lead."""
    touched = lead.notes.exists() or lead.activities.filter(actor__isnull=False).exists()
    return lead.status == LeadStatus.NEW and not touched


def _deliver(message: EmailMessage, job_id: UUID, last_attempt: bool) -> Outcome:
    if message.state in ENDED:
        return {"outcome": f"{message.state} already"}
    way = transport.way_out()
    if held := campaigns.hold(message, job_id, recognises_repetition=way.recognises_repetition):
        return held
    perhaps_sent = message.state in {EffectState.SENDING, EffectState.UNCLEAR} and message.offered_at is not None
    if not message.claim_to_send(job_id, way.name, recognises_repetition=way.recognises_repetition):
        return _not_taken(message)
    # only now: what another try has sent, perhaps, must not be called unsent
    if reason := _not_wanted(message):
        message.settle(EffectState.UNCLEAR if perhaps_sent else EffectState.SKIPPED, error=reason)
        return {"outcome": reason}
    composed: Composed | None = None
    try:
        composed = compose(message)
        sent = way.send(message, composed)
    except Exception as error:
        return _not_sent(message, composed, error, perhaps_sent=perhaps_sent, last_attempt=last_attempt)
    state = EffectState.RECORDED if sent.recorded else EffectState.SENT
    message.settle(state, receipt=sent.receipt[:300], **_as_sent(composed))
    return {"outcome": state.value}


def _not_wanted(message: EmailMessage) -> str:
    """Why the mail must not go, as things stand now; empty if it may."""
    if message.kind in OF_ACCOUNTS:
        return "" if is_useful(message) else LINK_OVER
    if message.kind == EmailMessage.Kind.DIGEST and not digests.is_wanted(message):
        return NO_DIGEST
    if is_suppressed(message.to, message.organization_id):
        return SUPPRESSED
    person, organization = message.recipient_id, message.organization_id
    if person is not None and organization is not None and not is_active_member(person, organization):
        return NO_MEMBER
    if message.lead is None:
        return ""
    if message.lead.erased_at is not None:
        return LEAD_ERASED
    return "" if intents.is_wanted(message, message.lead) else NO_MAIL


def _not_taken(message: EmailMessage) -> Outcome:
    if message.state == EffectState.UNCLEAR:
        raise PermanentError(UNCLEAR)
    return _refused(message, message.error) if message.state == EffectState.REFUSED else {"outcome": message.state}


def _not_sent(
    message: EmailMessage, composed: Composed | None, error: Exception, *, perhaps_sent: bool, last_attempt: bool
) -> Outcome:
    """Write down how the try ended, and tell the queue: by an exception, or by an outcome where nothing is to do.

    After a try that was unclear no other end makes it clear that nothing went out.
    """
    text = str(error) if isinstance(error, transport.NotSent) else f"{type(error).__name__}: {error}"
    if isinstance(error, transport.Unclear):
        return _unclear(message, composed, error, last_attempt)
    if isinstance(error, transport.Refused):
        message.settle(EffectState.UNCLEAR if perhaps_sent else EffectState.REFUSED, error=text)
        if perhaps_sent:
            raise PermanentError(f"{UNCLEAR} ({text})") from error
        return _refused(message, text)
    if isinstance(error, transport.Misconfigured):
        message.settle(EffectState.UNCLEAR if perhaps_sent else EffectState.FAILED, error=text)
        raise PermanentError(text) from error
    if isinstance(error, transport.TryLater):
        return _try_later(message, error, perhaps_sent=perhaps_sent, last_attempt=last_attempt)
    waits = EffectState.FAILED if last_attempt else EffectState.PENDING
    message.settle(EffectState.UNCLEAR if perhaps_sent else waits, error=text)
    raise error


def _try_later(message: EmailMessage, error: transport.TryLater, *, perhaps_sent: bool, last_attempt: bool) -> Outcome:
    """Let the queue try again by its policy, and behind its last attempt after pauses that grow, for a day."""
    asked = error.retry_after
    if asked is None and not last_attempt:
        message.settle(EffectState.UNCLEAR if perhaps_sent else EffectState.PENDING, error=str(error))
        raise error
    pause = pause_before(_age(message), message.tries, asked)
    if pause is None:
        message.settle(EffectState.UNCLEAR if perhaps_sent else EffectState.FAILED, error=str(error))
        raise PermanentError(str(error)) from error
    waits = EffectState.DEFERRED if pause >= SHORTEST_PAUSE else EffectState.PENDING
    message.settle(EffectState.UNCLEAR if perhaps_sent else waits, error=str(error))
    # the others wait no longer than the other side has asked them to
    raise RetryLater(pause, whole_queue=error.whole_queue and pause == asked, reason=str(error)) from error


def _age(message: EmailMessage) -> timedelta:
    now = timezone.now()
    return now - (message.offered_at or now)


def _unclear(message: EmailMessage, composed: Composed | None, error: transport.Unclear, last_attempt: bool) -> Outcome:
    message.settle(EffectState.UNCLEAR, error=str(error), **(_as_sent(composed) if composed else {}))
    if message.state == EffectState.SENT:
        return {"outcome": "sent, as the mail service reports"}
    if error.repeatable and not last_attempt:
        raise error
    pause = pause_before(_age(message), message.tries, None) if error.repeatable else None
    if pause is not None:
        raise RetryLater(pause, reason=str(error)) from error
    raise MailUnclear(f"{UNCLEAR} ({error})") from error


def _refused(message: EmailMessage, text: str) -> Outcome:
    if message.kind in TO_LEADS:
        return {"outcome": EffectState.REFUSED.value}
    raise PermanentError(text)


def _as_sent(composed: Composed) -> dict[str, str]:
    kept = composed.kept
    return {"subject": composed.subject, "text": kept(composed.text), "html": kept(composed.html)}
