"""What `make run` promises of its demo data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.models import Organization
from config.queues import lead as lead_queue
from emails.models import Campaign
from jobs.testing import run_jobs
from leads.models import Lead
from leads.services import sync_lead_to_crm

from .people import make_lead

pytestmark = pytest.mark.django_db


def test_the_owner_of_the_demo_s_organization_finds_what_came_through_its_form(
    settings: Any, capsys: Any, client: Client
) -> None:
    settings.DEBUG = True
    call_command("demo_data", "--json")
    demo = json.loads(capsys.readouterr().out)
    enquiry = {"name": "Joana Prado", "email": "joana@prado.example", "message": "Olá"}
    assert client.post(demo["form"], enquiry).status_code == 302
    run_jobs()
    ana = Client()
    assert ana.login(username="ana@example.org", password=demo["password"])
    for page in (reverse("admin:leads_lead_changelist"), reverse("admin:emails_emailmessage_changelist")):
        assert "Joana Prado" in ana.get(page).content.decode(), page
    lead = Lead.objects.get(name="Joana Prado")
    assert reverse("leads:lead", args=[lead.pk]) in ana.get(reverse("notifications:inbox")).content.decode()


def test_the_demo_shows_a_campaign_that_was_sent_and_a_draft(settings: Any, capsys: Any) -> None:
    settings.DEBUG = True
    call_command("demo_data", "--json")
    ana = Client()
    assert ana.login(username="ana@example.org", password=json.loads(capsys.readouterr().out)["password"])
    page = ana.get(reverse("campaigns:list")).content.decode()
    assert "5 of 6" in page
    for campaign in Campaign.objects.all():
        assert campaign.name in page
        assert "Maria Example" not in ana.get(campaign.get_absolute_url()).content.decode()
    assert {handle.job.task for handle in run_jobs()} == {"emails.send_welcome"}


def test_a_delivery_to_the_unreachable_crm_is_tried_as_often_as_the_queue_allows(settings: Any, capsys: Any) -> None:
    settings.DEBUG = True
    call_command("demo_data")
    northwind = Organization.objects.get(crm_webhook__isnull=False)
    sync_lead_to_crm(make_lead(northwind).id, northwind.id)
    tries = [job for job in run_jobs("lead", include_scheduled=True) if job.job.task == "leads.sync_to_crm"]
    assert (tries[-1].state, tries[-1].attempt) == ("failed", lead_queue.policy.attempts)
    assert "no answer" in tries[-1].error
