"""What other code may have mailed. Each function states the mail and enqueues its job in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
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

from . import campaigns, confirmation, intents, tasks
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


def send_campaign(campaign_id: UUID, *, at: datetime | None = None, as_seen: str = "") -> JobHandle | None:
    """Begin to send a campaign, now or at a time to come; None if it is no draft any more, or is gone.

    `as_seen` is the `fingerprint` of what somebody has read and wants sent: None too if it was changed since.
    """
    with transaction.atomic():
        campaign = _campaign(campaign_id, Campaign.State.DRAFT)
        if campaign is None or (as_seen and as_seen != campaign.fingerprint):
            return None
        if at is None:
            campaigns.begin(campaign)
        else:
            campaign.state, campaign.starts_at, campaign.run = Campaign.State.SCHEDULED, at, campaign.run + 1
            campaign.save(update_fields=["state", "starts_at", "run"])
        return tasks.start_part(campaign, at=at)


def unschedule_campaign(campaign_id: UUID) -> bool:
    """Make a campaign that has not begun a draft again; False if it is not scheduled."""
    with transaction.atomic():
        campaign = _campaign(campaign_id, Campaign.State.SCHEDULED)
        if campaign is None:
            return False
        campaign.state, campaign.starts_at, campaign.run = Campaign.State.DRAFT, None, campaign.run + 1
        campaign.save(update_fields=["state", "starts_at", "run"])
    return True


def pause_campaign(campaign_id: UUID) -> bool:
    """Let none of its mails leave any more; those that are on their way arrive. False if none is to come."""
    with transaction.atomic():
        campaign = _campaign(campaign_id, Campaign.State.SENDING, Campaign.State.SENT)
        if campaign is None or not campaigns.has_mails_to_come(campaign):
            return False
        campaign.state, campaign.run = Campaign.State.PAUSED, campaign.run + 1
        campaign.save(update_fields=["state", "run"])
    return True


def resume_campaign(campaign_id: UUID) -> bool:
    """Let its mails leave again, each once, behind those that have left. False if it is not paused."""
    with transaction.atomic():
        campaign = _campaign(campaign_id, Campaign.State.PAUSED)
        if campaign is None:
            return False
        campaigns.resume(campaign)
        tasks.start_part(campaign)
    return True


def cancel_campaign(campaign_id: UUID) -> bool:
    """Never send the rest of its mails; those that are on their way arrive. False if none is to come."""
    with transaction.atomic():
        campaign = _campaign(
            campaign_id,
            *(Campaign.State.SCHEDULED, Campaign.State.SENDING, Campaign.State.PAUSED, Campaign.State.SENT),
        )
        if campaign is None or not campaigns.has_mails_to_come(campaign):
            return False
        campaign.state, campaign.run, campaign.ended_at = Campaign.State.CANCELLED, campaign.run + 1, timezone.now()
        campaign.save(update_fields=["state", "run", "ended_at"])
        tasks.start_part(campaign)
    return True


def edit_campaign(campaign: Campaign) -> bool:
    """Store what was changed in a draft; False if it is none any more."""
    written = ("name", "subject", "text", "language", "audience")
    drafts = Campaign.objects.filter(pk=campaign.pk, state=Campaign.State.DRAFT)
    return bool(drafts.update(**{name: getattr(campaign, name) for name in written}))


def delete_campaign_draft(campaign_id: UUID) -> bool:
    """Delete a draft; False if it is none any more."""
    return bool(Campaign.objects.filter(pk=campaign_id, state=Campaign.State.DRAFT).delete()[0])


def send_campaign_test(campaign: Campaign, lead: Lead, person: User, key: str) -> JobHandle | None:
    """Send a member the campaign as the lead would get it; None if that was done with this `key`."""
    with transaction.atomic():
        message, created = intents.state_campaign_test(campaign, lead, person, key)
        return tasks.start(message) if created else None


def resend(message: EmailMessage) -> JobHandle | None:
    """Send a mail again that did not go out, or of which that is unclear; None if there is nothing to do.

    What is unclear may then arrive twice: only a person decides that.
    """
    with transaction.atomic():
        if not message.reopen(recorded=True):
            return None
        # counted anew once this one has ended
        if message.campaign_id is not None:
            Campaign.objects.filter(pk=message.campaign_id).update(sent=None)
        return tasks.start(message)


def _campaign(campaign_id: UUID, *states: Campaign.State) -> Campaign | None:
    """The campaign, locked, if it is in one of these states."""
    return Campaign.objects.select_for_update().filter(pk=campaign_id, state__in=states).first()


def _state_and_enqueue(kind: EmailMessage.Kind, key: str, to: str, *, language: str, **fields: Any) -> JobHandle | None:
    if not to:
        return None
    with transaction.atomic():
        message, created = intents.state(
            kind, key or str(uuid.uuid4()), to, language=language or get_language() or "en", **fields
        )
        return tasks.start(message) if created else None
