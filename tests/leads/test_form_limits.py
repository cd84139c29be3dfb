"""What strangers can set off with the public form is limited, for all processes together."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from accounts import limits
from accounts.models import Limit
from emails.models import EmailMessage
from emails.tasks import send_follow_up
from jobs.testing import JobsRunner
from leads.models import Channel, Lead, Submission, SubmissionState
from leads.services import process_submission, receive
from leads.services.intake import HONEYPOT

from .people import make_lead, make_organization

FIELDS = {"name": "Ada", "email": "ada@analytical.example", "message": "How fast is it?", "consent": "on"}
SPAM = {**FIELDS, "name": "Buy now https://spam.example", "company": "Spam Ltd", "message": "Cheap pills"}


def limited(settings: Any, **limits: tuple[int, int]) -> None:
    settings.FORM_LIMITS = {"network": (1_000, 60), "form": (1_000, 60), "recipient": (1_000, 60), **limits}


def post(client: Client, address: str, slug: str = "acme", **fields: str) -> int:
    return client.post(f"/forms/{slug}/", {**FIELDS, **fields}, REMOTE_ADDR=address).status_code


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_network_is_an_ipv4_address_or_an_ipv6_64(address: str, network: str) -> None:
    assert limits.network_of(address) == network


@pytest.mark.django_db
def test_network_has_its_share_over_all_forms(client: Client, settings: Any) -> None:
    limited(settings, network=(2, 60))
    make_organization()
    make_organization("other")
    assert post(client, "2001:db8::1") == 302
    assert post(client, "2001:db8::2", "other") == 302
    refused = client.post("/forms/acme/", FIELDS, REMOTE_ADDR="2001:db8::3")
    assert (refused.status_code, "How fast is it?" in refused.content.decode()) == (429, True)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert post(client, "2001:db8:0:1::1") == 302
    assert Submission.objects.count() == 3


@pytest.mark.django_db
def test_form_takes_so_many_of_all_networks_together(client: Client, settings: Any) -> None:
    limited(settings, form=(2, 60))
    make_organization()
    make_organization("other")
    assert [post(client, f"203.0.113.{number}") for number in range(4)] == [302, 302, 429, 429]
    assert post(client, "203.0.113.9", "other") == 302


@pytest.mark.django_db
def test_address_gets_so_many_mails_of_all_organizations(
    client: Client, settings: Any, jobs_runner: JobsRunner
) -> None:
    limited(settings, recipient=(2, 86_400))
    for slug in ("acme", "other", "third"):
        make_organization(slug)
    for slug in ("acme", "other", "third", "acme"):
        assert post(client, "203.0.113.1", slug, email="ADA@analytical.example") == 302
    assert post(client, "203.0.113.1", email="bob@analytical.example") == 302
    jobs_runner.run(queue="email")
    assert sorted(message.to[0].lower() for message in mail.outbox) == [
        *["ada@analytical.example"] * 2,
        "bob@analytical.example",
    ]


@pytest.mark.django_db
def test_mails_to_an_address_that_nobody_verified_hold_nothing_that_the_visitor_wrote(
    client: Client, jobs_runner: JobsRunner
) -> None:
    make_organization()
    client.post("/forms/acme/", {**SPAM, "marketing_consent": "on"})
    jobs_runner.run(queue="email")
    lead = Lead.objects.get()
    send_follow_up.call(lead.id, lead.organization_id)
    jobs_runner.run(queue="email")
    kinds = set(EmailMessage.objects.filter(to=lead.email).values_list("kind", flat=True))
    assert kinds == {"submission_confirmation", "follow_up", "consent_request"}
    for message in mail.outbox:
        if message.to != [lead.email]:
            continue
        everything = " ".join([message.subject, message.body, *(str(part[0]) for part in message.alternatives)])
        for text in ("spam.example", "Buy now", "Spam Ltd", "Cheap pills"):
            assert text not in everything


@pytest.mark.django_db(transaction=True)
def test_limit_holds_among_processes_that_take_at_once() -> None:
    ready, granted = threading.Barrier(8), []

    def use() -> None:
        try:
            ready.wait(60)
            with transaction.atomic():
                granted.append(limits.take_of("test", "one", 3, timedelta(minutes=1)) == 0)
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(granted), sum(granted)) == (8, 3)


@pytest.mark.django_db
def test_limit_rolls_and_keeps_no_address() -> None:
    with transaction.atomic():
        assert limits.take_of("test", "ada@analytical.example", 1, timedelta(minutes=1)) == 0
        assert 0 < limits.take_of("test", "ada@analytical.example", 1, timedelta(minutes=1)) <= 60
        row = Limit.objects.get()
        assert "ada" not in str(row.__dict__)
        row.times = [time - 61 for time in row.times]
        row.save()
        assert limits.take_of("test", "ada@analytical.example", 1, timedelta(minutes=1)) == 0


@pytest.mark.django_db(transaction=True)
def test_limits_that_are_over_are_forgotten() -> None:
    with transaction.atomic():
        limits.take_of("test", "one", 1, timedelta(minutes=1))
    Limit.objects.update(ends_at="2020-01-01T00:00:00Z")
    with transaction.atomic():
        limits.take_of("test", "two", 1, timedelta(minutes=1))
    assert Limit.objects.count() == 1


@pytest.mark.django_db
def test_trap_has_a_name_that_no_browser_fills_and_the_real_fields_say_what_they_are(client: Client) -> None:
    make_organization()
    page = client.get("/forms/acme/").content.decode()
    trap = page.split(f'name="{HONEYPOT}"')[1].split(">")[0]
    assert 'autocomplete="off"' in trap
    for manager in ("data-1p-ignore", "data-bwignore", 'data-lpignore="true"', 'data-form-type="other"'):
        assert manager in trap
    for name in ("website", "url", "homepage"):
        assert f'name="{name}"' not in page
    for token in ("name", "email", "tel", "organization", "organization-title"):
        assert f'autocomplete="{token}"' in page


@pytest.mark.django_db
def test_what_the_trap_caught_is_listed_and_processed_as_genuine_by_staff_only(
    client: Client, admin_client: Client, jobs_runner: JobsRunner
) -> None:
    make_organization()
    assert client.post("/forms/acme/", {**FIELDS, HONEYPOT: "x"}).headers["Location"] == "/forms/acme/thanks/"
    submission = Submission.objects.get()
    assert submission.state == SubmissionState.TRAPPED
    assert "How+fast" in submission.body
    # neither its job nor "process again" takes it for real
    jobs_runner.run(include_scheduled=True)
    address = reverse("admin:leads_submission_changelist")
    assert str(submission.pk) in admin_client.get(address, {"work": "trapped"}).content.decode()
    selected = {"_selected_action": [str(submission.pk)]}
    admin_client.post(address, {"action": "process_again", **selected})
    assert process_submission(submission.id).state == SubmissionState.TRAPPED
    assert not Lead.objects.exists()
    admin_client.post(address, {"action": "process_as_genuine", **selected})
    assert Submission.objects.get().state == SubmissionState.PROCESSED
    assert Lead.objects.get().email == "ada@analytical.example"


@pytest.mark.django_db
def test_known_lead_gets_its_confirmations_within_the_limit(settings: Any, jobs_runner: JobsRunner) -> None:
    limited(settings, recipient=(1, 86_400))
    organization = make_organization()
    make_lead(organization, request_consent_at="2026-01-01T00:00:00Z")
    for _number in range(3):
        receive(organization, Channel.FORM, "name=Ada&email=ada%40analytical.example&consent=on")
    jobs_runner.run(queue="email")
    assert [message.to for message in mail.outbox] == [["ada@analytical.example"]]
