"""docs/first-organization.md: its steps lead to a lead that the team hears of; its table is what the roles allow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import Membership, Organization, Role
from config.roles import ROLES
from jobs.testing import JobsRunner
from leads.models import CrmWebhook, Lead

pytestmark = pytest.mark.django_db
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "first-organization.md").read_text(encoding="utf-8")
#: What each row of the page's table stands for.
ROWS: dict[str, set[str]] = {
    "See, add and edit leads; write notes": {
        "leads.view_lead",
        "leads.add_lead",
        "leads.change_lead",
        "leads.add_note",
    },
    "Assign leads, change their status, record consent": {
        "leads.assign_lead",
        "leads.change_lead_status",
        "leads.record_consent",
    },
    "Send leads to the CRM, text them": {"leads.sync_lead", "notifications.send_sms"},
    "See submissions, consents, emails, campaigns, notifications, text messages and deliveries": {
        "leads.view_submission",
        "leads.view_consentrecord",
        "leads.view_crmdelivery",
        "emails.view_emailmessage",
        "emails.view_campaign",
        "emails.view_suppression",
        "notifications.view_notification",
        "notifications.view_smsmessage",
        "notifications.view_pushmessage",
    },
    "Process a submission again": {"leads.process_submission"},
    "Erase or delete leads": {"leads.erase_lead", "leads.delete_lead"},
    "Import and export leads": {"leads.view_leadimport", "leads.add_leadimport", "leads.export_lead"},
    "Create and send campaigns": {
        "emails.add_campaign",
        "emails.change_campaign",
        "emails.delete_campaign",
        "emails.send_campaign",
    },
    "Send an email again, allow mail to a suppressed address": {
        "emails.resend_emailmessage",
        "emails.lift_suppression",
    },
    "See members, their devices and contact preferences; invite people": {
        "accounts.view_organization",
        "accounts.view_membership",
        "accounts.view_invitation",
        "accounts.add_invitation",
        "accounts.change_invitation",
        "notifications.view_contactpreference",
        "notifications.view_pushdevice",
    },
    "See the organization's jobs; retry, cancel, promote, edit or discard them": {
        "jobs.view_job",
        "jobs.view_attempt",
        "jobs.retry_job",
        "jobs.cancel_job",
        "jobs.promote_job",
        "jobs.edit_job",
        "jobs.discard_job",
    },
    "Export the organization's jobs; enqueue one by hand": {"jobs.export_job", "jobs.enqueue_job"},
    "Edit the organization; change roles, remove members": {
        "accounts.change_organization",
        "accounts.change_membership",
        "accounts.delete_membership",
    },
    "Create and revoke API keys; set the CRM webhook": {
        "accounts.view_apikey",
        "accounts.add_apikey",
        "accounts.change_apikey",
        "leads.view_crmwebhook",
        "leads.add_crmwebhook",
        "leads.change_crmwebhook",
    },
    "Change members' contact preferences, remove their devices": {
        "notifications.change_contactpreference",
        "notifications.delete_pushdevice",
    },
}


def test_the_steps_lead_from_nothing_to_a_lead_that_the_team_hears_of(
    admin_client: Client, client: Client, jobs_runner: JobsRunner
) -> None:
    organization = {"name": "Acme", "slug": "acme", "language": "en", "country": "BR"}
    assert admin_client.post(reverse("admin:accounts_organization_add"), organization).status_code == 302
    acme = Organization.objects.get()
    owner, manager = Client(), Client()
    _invite(admin_client, acme, "olga@acme.example", Role.OWNER)
    _join(owner, jobs_runner, "Olga")
    _invite(owner, acme, "mia@acme.example", Role.MANAGER)
    _join(manager, jobs_runner, "Mia")
    assert dict(Membership.objects.values_list("user__email", "role")) == {
        "olga@acme.example": "owner",
        "mia@acme.example": "manager",
    }
    enquiry = {"name": "Ada", "email": "ada@analytical.example", "message": "Hello"}
    assert client.post("/forms/acme/", enquiry).status_code == 302
    mail.outbox.clear()
    jobs_runner.run()
    assert ["mia@acme.example"] in [message.to for message in mail.outbox]
    answer = owner.post(reverse("admin:accounts_apikey_add"), {"organization": str(acme.pk), "name": "site"})
    secret = answer.content.decode().split("<code>")[1].split("</code>")[0]
    given = {"name": "Grace", "email": "grace@navy.example"}
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/leads/", given, content_type="application/json", headers=headers).status_code == 201
    assert Lead.objects.count() == 2
    webhook = reverse("admin:leads_crmwebhook_change", args=[CrmWebhook.objects.get().pk])
    assert owner.post(webhook, {"url": "https://crm.example.com/leads"}).status_code == 302
    page = owner.post(reverse("admin:leads_crmwebhook_secret", args=[CrmWebhook.objects.get().pk]))
    assert CrmWebhook.objects.get().url
    assert "whsec_" in page.content.decode()


def _invite(client: Client, organization: Organization, email: str, role: Role) -> None:
    invitation = {"organization": str(organization.pk), "email": email, "role": role.value, "language": ""}
    assert client.post(reverse("admin:accounts_invitation_add"), invitation).status_code == 302


def _join(client: Client, jobs_runner: JobsRunner, name: str) -> None:
    mail.outbox.clear()
    jobs_runner.run()
    (link,) = re.findall(r"https?://[^/\s]+(/accounts/invitation/\S+)", str(mail.outbox[0].body))
    client.get(link, follow=True)
    chosen = {"first_name": name, "password1": "quite a long one", "password2": "quite a long one"}
    assert client.post(reverse("accounts:join"), chosen).status_code == 302


def test_the_table_of_the_page_is_what_the_roles_allow() -> None:
    cells = re.findall(r"^\| ([A-Z][^|]+) \| (\w*) ?\| (\w*) ?\| (\w*) ?\|$", PAGE, re.MULTILINE)
    told: dict[str, set[str]] = {role: set() for role in ("agent", "manager", "owner")}
    for text, *ticks in cells:
        for role, tick in zip(told, ticks, strict=True):
            told[role] |= ROWS[text] if tick == "yes" else set()
    assert [text for text, *_ticks in cells] == list(ROWS)
    assert told == {role: set(names) for role, names in ROLES.items()}


def test_every_permission_that_the_page_names_is_one(db: Any) -> None:
    named = set(re.findall(r"\*(Can [^*]+)\*", PAGE))
    assert named
    assert named <= set(Permission.objects.values_list("name", flat=True))
