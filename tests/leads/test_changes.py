"""What a person changes of a lead is announced: the score and the CRM follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import Membership, Organization
from emails.composing import unsubscribe_token
from jobs import jobs_about
from jobs.testing import JobsRunner
from leads.models import CrmDelivery, Lead
from leads.services import assign_lead, unsubscribe_lead, update_lead

from .people import make_lead, make_member, make_organization, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def lead(organization: Organization) -> Lead:
    return make_lead(organization)


def edit(lead: Lead) -> None:
    lead.job_title = "CEO"
    update_lead(lead, ["job_title"])


def assign(lead: Lead) -> None:
    member = make_member(lead.organization, "max")
    assign_lead(lead.pk, lead.organization_id, member.pk)


def unsubscribe(lead: Lead) -> None:
    unsubscribe_lead(lead.pk)


@pytest.mark.parametrize(
    ("change", "event", "told"),
    [
        (edit, "LeadChanged", {"job_title": "CEO"}),
        (assign, "LeadAssigned", {"assignee": "max@example.org"}),
        (unsubscribe, "LeadUnsubscribed", {"consent": False}),
    ],
)
def test_crm_gets_each_change_once_and_the_newest_state(
    lead: Lead, jobs_runner: JobsRunner, change: Callable[[Lead], None], event: str, told: dict[str, Any]
) -> None:
    change(lead)
    lead.refresh_from_db()
    syncs = jobs_about(lead).filter(task="leads.sync_to_crm")
    assert [(job.event, job.key) for job in syncs] == [(event, f"crm:{lead.pk}:{lead.version}")]
    jobs_runner.run()
    lead.refresh_from_db()
    newest = CrmDelivery.objects.filter(lead=lead).order_by("lead_version").last()
    assert newest is not None
    assert newest.payload is not None
    assert {name: newest.payload["data"][name] for name in told} == told
    assert newest.payload["data"]["version"] == lead.version


@pytest.mark.parametrize(
    ("change", "reason"),
    [(edit, {"rule": "decides", "points": 15}), (unsubscribe, {"rule": "unsubscribed", "points": -20})],
)
def test_score_follows_what_was_changed(
    lead: Lead, jobs_runner: JobsRunner, change: Callable[[Lead], None], reason: dict[str, Any]
) -> None:
    change(lead)
    jobs_runner.run()
    lead.refresh_from_db()
    assert reason in lead.score_reasons
    assert lead.score_version == lead.version


def test_change_that_changes_nothing_is_not_announced(lead: Lead, jobs_runner: JobsRunner) -> None:
    update_lead(lead, [])
    unsubscribe(lead)
    unsubscribe_lead(lead.pk)
    assert len([job for job in jobs_about(lead) if job.event == "LeadUnsubscribed"]) == 2


def test_edit_in_the_admin_and_the_link_in_a_mail_are_such_changes(
    lead: Lead, admin_client: Client, client: Client, jobs_runner: JobsRunner
) -> None:
    form = {"name": "Ada Lovelace", "email": lead.email, "source": "event"}
    assert admin_client.post(reverse("admin:leads_lead_change", args=[lead.pk]), form).status_code == 302
    client.post(reverse("emails:unsubscribe", args=[unsubscribe_token(lead.pk)]))
    assert {job.event for job in jobs_about(lead)} == {"LeadChanged", "LeadUnsubscribed"}


def test_senders_address_is_set_by_who_runs_the_site_and_the_reply_address_by_the_organization(
    client: Client, admin_client: Client, organization: Organization
) -> None:
    page = reverse("admin:accounts_organization_change", args=[organization.pk])
    form = {
        "name": "Acme",
        "slug": "acme",
        "language": "en",
        "mail_from": "sales@acme.example",
        "mail_reply_to": "office@acme.example",
    }
    user = make_user("sam", is_staff=True)
    Membership.objects.create(organization=organization, user=user)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_organization", "change_organization"]))
    client.force_login(user)
    assert client.post(page, form).status_code == 302
    organization.refresh_from_db()
    assert (organization.mail_from, organization.mail_reply_to) == ("", "office@acme.example")
    assert admin_client.post(page, form).status_code == 302
    organization.refresh_from_db()
    assert organization.mail_from == "sales@acme.example"
