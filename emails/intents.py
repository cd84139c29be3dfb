"""Which mails there are to be: the rows that state them, each intent once. Nothing is sent or enqueued here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import models

from accounts.models import User
from leads.consent import has_agreed
from leads.languages import spoken
from leads.models import ConsentPurpose, EffectState, Lead

from .audience import Audience
from .confirmation import is_open
from .models import Campaign, EmailMessage

#: What a lead must have agreed to for a mail of the kind.
PURPOSES: dict[str, ConsentPurpose] = {
    EmailMessage.Kind.SUBMISSION_CONFIRMATION: ConsentPurpose.REQUEST,
    EmailMessage.Kind.FOLLOW_UP: ConsentPurpose.REQUEST,
    EmailMessage.Kind.CAMPAIGN: ConsentPurpose.MARKETING,
}


def state(kind: EmailMessage.Kind, key: str, to: str, **fields: Any) -> tuple[EmailMessage, bool]:
    """The mail of this intent; says whether it is new."""
    return EmailMessage.objects.get_or_create(kind=kind, key=key, defaults={"to": to, **fields})


def state_follow_up(lead: Lead, step: int) -> tuple[EmailMessage, bool]:
    """The lead's follow-up of this step; says whether it is new."""
    return state(
        EmailMessage.Kind.FOLLOW_UP,
        f"{lead.id}:{step}",
        lead.email,
        lead=lead,
        organization_id=lead.organization_id,
        language=language_of(lead),
        params={"step": step},
    )


def state_password_reset(person: User, request_id: UUID, language: str) -> tuple[EmailMessage, bool]:
    """The mail with the link that was asked for; says whether it is new."""
    return state(
        EmailMessage.Kind.PASSWORD_RESET,
        str(request_id),
        person.email,
        recipient_id=person.pk,
        language=language or "en",
        params={"name": person.shown_name},
    )


def state_campaign_test(campaign: Campaign, lead: Lead, person: User, key: str) -> tuple[EmailMessage, bool]:
    """The campaign as the lead would get it, to a member; says whether it is new."""
    return state(
        EmailMessage.Kind.CAMPAIGN_TEST,
        f"{campaign.pk}:{person.pk}:{key}",
        person.email,
        recipient_id=person.pk,
        lead=lead,
        organization_id=campaign.organization_id,
        language=campaign.language or language_of(lead),
        params={"campaign": str(campaign.pk)},
    )


def campaign_preview(campaign: Campaign, lead: Lead) -> EmailMessage:
    """The mail that the lead would get, not saved and never sent."""
    return EmailMessage(
        kind=EmailMessage.Kind.CAMPAIGN_TEST,
        to=lead.email,
        lead=lead,
        organization=campaign.organization,
        language=campaign.language or language_of(lead),
        params={"campaign": str(campaign.pk)},
    )


def state_campaign_mails(campaign: Campaign, leads: Sequence[Lead]) -> list[EmailMessage]:
    """The campaign's mail to each of these leads, in their order; without those that have a job."""
    EmailMessage.objects.bulk_create(
        [
            EmailMessage(
                kind=EmailMessage.Kind.CAMPAIGN,
                key=f"{campaign.id}:{lead.id}",
                to=lead.email,
                lead=lead,
                campaign=campaign,
                organization_id=campaign.organization_id,
                language=campaign.language or language_of(lead),
                params={"name": lead.name},
            )
            for lead in leads
        ],
        ignore_conflicts=True,
    )
    rows = EmailMessage.objects.filter(campaign=campaign, lead__in=[lead.pk for lead in leads])
    return list(rows.filter(state=EffectState.PENDING, job_id__isnull=True).order_by("lead_id"))


def campaign_leads(campaign: Campaign) -> models.QuerySet[Lead]:
    """The leads that a campaign is meant for and may be sent to."""
    willing = Lead.present.select_related("organization").filter(
        organization_id=campaign.organization_id,
        email_key__isnull=False,
        marketing_consent_at__isnull=False,
        unsubscribed_at__isnull=True,
    )
    return Audience.of(campaign.audience).of_leads(willing)


def may_write_to(lead: Lead, kind: str) -> bool:
    """Whether the lead agreed to get mail of this kind, still does, and can."""
    return bool(lead.email) and has_agreed(lead, PURPOSES[kind])


def is_wanted(message: EmailMessage, lead: Lead) -> bool:
    """Whether a stated mail may still go: what a lead must have agreed to can have been withdrawn since."""
    if message.kind == EmailMessage.Kind.CONSENT_REQUEST:
        return is_open(message, lead)
    return message.kind not in PURPOSES or may_write_to(lead, message.kind)


def language_of(lead: Lead) -> str:
    """The lead's language if mails are written in it, else its organisation's."""
    return spoken(lead.locale) or lead.organization.language
