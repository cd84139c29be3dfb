"""A known lead that writes again: people hear of it, read what it wrote, and what follows from it follows."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import Organization, Role
from jobs.testing import JobsRunner
from leads.models import Channel, CrmDelivery, EffectState, Lead
from leads.services import receive
from notifications.models import Notification

from .people import make_lead, make_member, make_organization

pytestmark = pytest.mark.django_db

AGAIN = {
    "name": "Ada King",
    "email": "ADA@analytical.example",
    "phone": "+442071838750",
    "value": "12000.5",
    "currency": "EUR",
    "message": "Are <b>you</b> there?\nPlease call.",
}


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def lead(organization: Organization) -> Lead:
    return make_lead(organization, message="The first words", phone="+551199999999")


def write(organization: Organization, **fields: Any) -> None:
    assert receive(organization, Channel.API, json.dumps(AGAIN | fields)).answer_status == 200


def test_who_looks_after_the_lead_reads_in_a_mail_what_it_wrote_now(
    organization: Organization, lead: Lead, jobs_runner: JobsRunner
) -> None:
    make_member(organization, "mia", Role.MANAGER)
    member = make_member(organization, "max")
    Lead.objects.update(assignee=member)
    write(organization)
    jobs_runner.run()
    told = mail.outbox
    assert [message.to for message in told] == [[member.email]]
    html = str(told[0].alternatives[0][0])
    assert told[0].subject == "Ada wrote to you again"
    assert AGAIN["message"] in told[0].body
    assert "Are &lt;b&gt;you&lt;/b&gt; there?" in html
    # what differs from the lead's row is told; the row itself is not rewritten
    for text in (told[0].body, html):
        assert "The first words" not in text
        assert "Phone: +442071838750" in text
        assert "Name: Ada King" in text
        assert "Value: 12,000.50 EUR" in text
    notification = Notification.objects.get()
    assert (notification.user, notification.kind) == (member, Notification.Kind.INFO)
    assert notification.action_url == lead.get_absolute_url()
    assert "Ada" not in notification.title + notification.message


def test_where_nobody_looks_after_the_lead_it_is_urgent_for_the_managers(
    organization: Organization, lead: Lead, jobs_runner: JobsRunner
) -> None:
    manager = make_member(organization, "mia", Role.MANAGER)
    make_member(organization, "max")
    write(organization)
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [[manager.email]]
    assert [(row.user, row.kind) for row in Notification.objects.all()] == [(manager, Notification.Kind.URGENT)]


def test_each_message_is_told_once_though_every_job_runs_twice(
    organization: Organization, lead: Lead, jobs_runner: JobsRunner
) -> None:
    make_member(organization, "mia", Role.MANAGER)
    write(organization, message="One")
    write(organization, message="Two")
    jobs_runner.run(until=timedelta(minutes=2))
    bodies = [message.body for message in mail.outbox]
    assert [sum(text in body for body in bodies) for text in ("One", "Two")] == [1, 1]
    assert Notification.objects.count() == 2


def test_what_the_lead_wrote_stands_on_its_pages(
    organization: Organization, lead: Lead, admin_client: Client, client: Client
) -> None:
    write(organization)
    client.force_login(make_member(organization, "max"))
    pages = [client.get(lead.get_absolute_url()), admin_client.get(f"/admin/leads/lead/{lead.pk}/change/")]
    for page in (response.content.decode() for response in pages):
        assert "Are &lt;b&gt;you&lt;/b&gt; there?<br>Please call." in page
        assert "Phone: +442071838750" in page
    assert "12,000.50 EUR" in pages[0].content.decode()


def test_lead_is_scored_again_and_the_crm_gets_the_new_words(
    organization: Organization, lead: Lead, jobs_runner: JobsRunner
) -> None:
    write(organization)
    jobs_runner.run()
    lead.refresh_from_db()
    assert "contacts" in {reason["rule"] for reason in lead.score_reasons}
    sent = CrmDelivery.objects.get(lead=lead, state=EffectState.RECORDED)
    assert (sent.lead_version, sent.payload["data"]["last_message"]) == (lead.version, AGAIN["message"])
    assert sent.payload["data"]["message"] == "The first words"


def test_new_lead_is_not_told_of_as_one_that_returned(organization: Organization, jobs_runner: JobsRunner) -> None:
    make_member(organization, "mia", Role.MANAGER)
    receive(organization, Channel.API, json.dumps(AGAIN))
    jobs_runner.run()
    (told,) = (message for message in mail.outbox if message.to == ["mia@example.org"])
    assert told.subject == "New lead: Ada King"
    assert "Value: 12,000.50 EUR" in told.body
    assert "New this time" not in told.body


def test_value_is_written_as_the_reader_writes_it(organization: Organization, jobs_runner: JobsRunner) -> None:
    make_member(organization, "mia", Role.MANAGER, language="pt-br")
    receive(organization, Channel.API, json.dumps(AGAIN))
    jobs_runner.run()
    (told,) = (message for message in mail.outbox if message.to == ["mia@example.org"])
    assert "12.000,50 EUR" in told.body
