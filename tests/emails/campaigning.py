"""Campaigns and leads for the tests of campaigns."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.utils import timezone

from accounts.models import Organization, Role
from emails import services
from emails.models import Campaign, EmailMessage
from emails.tasks import send_bulk_email
from leads.models import Lead
from tests.leads.people import make_lead, make_member, make_organization


def willing(organization: Organization, **fields: Any) -> Lead:
    """A lead that agreed to get news and offers."""
    return make_lead(organization, marketing_consent_at=timezone.now(), **fields)


def make_campaign(leads: int, organization: Organization | None = None, **fields: Any) -> Campaign:
    """A draft, for so many leads of the organisation that agreed."""
    organization = organization or make_organization()
    for number in range(leads):
        willing(organization, name=f"Lead {number}", email=f"lead{number}@acme.example")
    fields = {"name": "Spring", "subject": "News", "text": "Hello"} | fields
    return Campaign.objects.create(organization=organization, **fields)


def planned(leads: int, **fields: Any) -> Campaign:
    """A campaign that has begun, with a job for each mail."""
    campaign = make_campaign(leads, **fields)
    services.send_campaign(campaign.pk)
    send_bulk_email.call(campaign.pk)
    campaign.refresh_from_db()
    return campaign


def manager_of(campaign: Campaign) -> Any:
    return make_member(campaign.organization, "mia", Role.MANAGER)


def states(campaign: Campaign) -> dict[str, int]:
    """How many of its mails are in which state."""
    return dict(Counter(EmailMessage.objects.filter(campaign=campaign).values_list("state", flat=True)))
