"""An event's page shows what came of it: the mail, the notification, the CRM delivery of a new lead."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from jobs.models import Job
from jobs.testing import run_jobs
from leads.models import Lead
from leads.services.leads import add_lead

from .people import make_member, make_organization

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_new_leads_event_leads_to_its_mail_notification_and_delivery() -> None:
    organization = make_organization("acme", crm_webhook_url="https://crm.example.org/hook")
    make_member(organization, "ana")
    lead = add_lead(Lead(organization=organization, name="Grace Hopper", email="grace@example.org"))
    run_jobs()
    created = Job.objects.filter(event="LeadCreated").first()
    assert created is not None
    client = Client()
    client.force_login(User.objects.create_superuser("boss@example.org"))
    page = client.get(f"/admin/jobs/job/events/{created.event_id}/").content.decode()
    effects = page.partition('id="event-effects"')[2]
    for model in ("emails/emailmessage", "notifications/notification", "leads/crmdelivery"):
        assert f'href="/admin/{model}/' in effects, model
    assert f"/admin/leads/lead/{lead.pk}/change/" in page
