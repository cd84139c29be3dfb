"""The steps of docs/first-organization.md, one after the other, as the page tells them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from django.urls import reverse

from jobs.testing import JobsRunner
from leads.models import Lead, Membership, Organization

pytestmark = pytest.mark.django_db
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "first-organization.md").read_text(encoding="utf-8")


def test_the_steps_lead_from_nothing_to_a_lead_that_somebody_hears_of(
    admin_client: Client, client: Client, jobs_runner: JobsRunner
) -> None:
    organization = {"name": "Acme", "slug": "acme", "language": "en", "country": "BR"}
    assert admin_client.post(reverse("admin:leads_organization_add"), organization).status_code == 302
    person = {"username": "mia", "password1": "quite a long one", "password2": "quite a long one"}
    person["usable_password"] = "true"
    assert admin_client.post(reverse("admin:auth_user_add"), person).status_code == 302
    User.objects.filter(username="mia").update(email="mia@acme.example")
    acme, mia = Organization.objects.get(), User.objects.get(username="mia")
    member = {"user": mia.pk, "organization": str(acme.pk), "role": "manager", "language": ""}
    assert admin_client.post(reverse("admin:leads_membership_add"), member).status_code == 302
    assert Membership.objects.get().role == "manager"
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [["mia@acme.example"]]
    enquiry = {"name": "Ada", "email": "ada@analytical.example", "message": "Hello"}
    assert client.post("/forms/acme/", enquiry).status_code == 302
    jobs_runner.run()
    assert "mia@acme.example" in [to for message in mail.outbox[1:] for to in message.to]
    answer = admin_client.post(reverse("admin:leads_apikey_add"), {"organization": str(acme.pk), "name": "site"})
    secret = answer.content.decode().split("<code>")[1].split("</code>")[0]
    given = {"name": "Grace", "email": "grace@navy.example"}
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/leads/", given, content_type="application/json", headers=headers).status_code == 201
    assert Lead.objects.count() == 2


def test_every_permission_that_the_page_names_is_one(db: None) -> None:
    named = set(re.findall(r"\*(Can [^*]+)\*", PAGE))
    assert len(named) > 8
    assert named <= set(Permission.objects.values_list("name", flat=True))
