"""What other code may have mailed. Each function states the mail and enqueues its job in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import get_language

from accounts import limits
from accounts.members import language_of
from accounts.models import Invitation, Organization, User
from jobs import JobHandle
from leads import consent
from leads.models import Lead, Submission

from . import confirmation, intents, tasks
from .models import Campaign, EmailMessage

FOLLOW_UP_AFTER = timedelta(days=3)
#: Different titles that a daily mail shows.
LINES_SHOWN = 20


def send_welcome_email(
    to: str,
    *,
    name: str = "",
    organization_name: str = "",
    organization: Organization | None = None,
    recipient_id: UUID | None = None,
    language: str = "",
    key: str = "",
) -> JobHandle | None:
    """Greet a new member. With a `key` used before nothing happens, and None is returned."""
    return _state_and_enqueue(
        EmailMessage.Kind.WELCOME,
        key,
        to,
        organization=organization,
        recipient_id=recipient_id,
        language=language,
        params={"name": name, "member_of": organization_name or (organization.name if organization else "")},
    )


def send_lead_notification_email(
    to: str,
    *,
    lead: Lead,
    recipient_id: UUID | None = None,
    language: str = "",
    reason: str = "",
    submission_id: UUID | None = None,
    key: str = "",
) -> JobHandle | None:
    """Tell a member about a lead. `reason` is "created", "returned" (with the submission's id) or "assigned"."""
    return _state_and_enqueue(
        EmailMessage.Kind.LEAD_NOTIFICATION,
        key,
        to,
        lead=lead,
        organization_id=lead.organization_id,
        recipient_id=recipient_id,
        language=language,
        params={"reason": reason or "created"} | ({"submission": str(submission_id)} if submission_id else {}),
    )


def send_submission_confirmation_email(submission: Submission) -> JobHandle | None:
    """Tell the lead that its message arrived, if it agreed to get mail; None too if its address got enough today."""
    lead = submission.lead
    if lead is None or not intents.may_write_to(lead, EmailMessage.Kind.SUBMISSION_CONFIRMATION):
        return None
    with transaction.atomic():
        if limits.take("recipient", lead.email_key or ""):
            return None
        return _state_and_enqueue(
            EmailMessage.Kind.SUBMISSION_CONFIRMATION,
            str(submission.id),
            lead.email,
            lead=lead,
            organization_id=lead.organization_id,
            language=intents.language_of(lead),
        )


def send_consent_request_email(lead: Lead) -> JobHandle | None:
    """Ask the lead to confirm what it is said to agree to; None if it was asked lately, or is never to be asked."""
    with transaction.atomic():
        asked = [str(line.pk) for line in consent.waiting(lead)]
        if not asked or not confirmation.may_ask(lead):
            return None
        return _state_and_enqueue(
            EmailMessage.Kind.CONSENT_REQUEST,
            asked[-1],
            lead.email,
            lead=lead,
            organization_id=lead.organization_id,
            language=intents.language_of(lead),
            params={"asked": asked},
        )


def send_invitation_email(invitation: Invitation) -> JobHandle | None:
    """Send the link with which somebody joins; once for each time that the invitation is sent."""
    organization = invitation.organization
    by = invitation.invited_by
    return _state_and_enqueue(
        EmailMessage.Kind.INVITATION,
        f"{invitation.pk}:{invitation.sent_at.isoformat()}",
        invitation.email,
        organization=organization,
        language=invitation.language or organization.language,
        params={"invitation": str(invitation.pk), "by": by.shown_name if by else ""},
    )


def send_digest_email(
    person: User, lines: Sequence[tuple[str, int]], *, organization_id: UUID | None, key: str
) -> JobHandle | None:
    """Tell a person what they have not read: titles, each with how often it stands there. Once for each `key`."""
    shown = lines[:LINES_SHOWN]
    return _state_and_enqueue(
        EmailMessage.Kind.DIGEST,
        key,
        person.email,
        organization_id=organization_id,
        recipient_id=person.pk,
        language=language_of(person.pk),
        params={
            "name": person.shown_name,
            "number": sum(times for _title, times in lines),
            "lines": [list(line) for line in shown],
            "more": sum(times for _title, times in lines[LINES_SHOWN:]),
        },
    )


def schedule_follow_up(
    lead_id: UUID, organization_id: UUID, *, step: int = 1, delay: timedelta | float = FOLLOW_UP_AFTER
) -> JobHandle:
    """Have the lead written to later, unless somebody has done something with it by then."""
    prepared = tasks.send_follow_up.using(delay=delay, about=(Lead._meta.label_lower, str(lead_id)))
    return prepared.enqueue(lead_id, organization_id, step)


def send_campaign(campaign_id: UUID) -> JobHandle | None:
    """Begin to send a campaign; None if it was begun before, or is gone."""
    with transaction.atomic():
        drafts = Campaign.objects.filter(pk=campaign_id, state=Campaign.State.DRAFT)
        if not drafts.update(state=Campaign.State.SENDING, started_at=timezone.now()):
            return None
        return tasks.start_part(campaign_id)


def resend(message: EmailMessage) -> JobHandle | None:
    """Send a mail again that did not go out, or of which that is unclear; None if there is nothing to do.

    What is unclear may then arrive twice: only a person decides that.
    """
    with transaction.atomic():
        return tasks.start(message) if message.reopen(recorded=True) else None


def _state_and_enqueue(kind: EmailMessage.Kind, key: str, to: str, *, language: str, **fields: Any) -> JobHandle | None:
    if not to:
        return None
    with transaction.atomic():
        message, created = intents.state(
            kind, key or str(uuid.uuid4()), to, language=language or get_language() or "en", **fields
        )
        return tasks.start(message) if created else None
