"""Mails to leads come from their organisation, in its language, and a reply to one is read by somebody."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import Organization, Role
from accounts.services import add_member
from emails.models import EmailMessage
from jobs.testing import JobsRunner
from leads.consent import Agreement
from leads.models import ConsentPurpose, ConsentSource, Lead
from leads.services import add_lead
from tests.leads.people import make_key, make_lead, make_member, make_organization, make_user

pytestmark = pytest.mark.django_db

THREE_DAYS = timedelta(days=3, minutes=1)


def follow_up(organization: Organization, jobs_runner: JobsRunner, **fields: Any) -> Any:
    """The follow-up to a lead that nobody has touched, as it left."""
    address = "ada@analytical.example"
    agreed = [Agreement(ConsentPurpose.REQUEST, ConsentSource.FORM)]
    add_lead(Lead(organization=organization, name="Ada", email=address, **fields), agreements=agreed)
    jobs_runner.run(until=THREE_DAYS)
    (sent,) = (message for message in mail.outbox if message.to == [address])
    return sent


def test_reply_to_a_follow_up_goes_to_the_organizations_address(jobs_runner: JobsRunner) -> None:
    organization = make_organization(mail_reply_to="office@acme.example", mail_from="sales@acme.example")
    make_member(organization, "mia", Role.MANAGER)
    sent = follow_up(organization, jobs_runner)
    assert (sent.from_email, sent.reply_to) == ('"Acme" <sales@acme.example>', ["office@acme.example"])
    assert "Just reply to this e-mail." in sent.body


def test_reply_goes_to_who_looks_after_the_lead_else_to_a_manager(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    manager, member = make_member(organization, "mia", Role.MANAGER), make_member(organization, "max")
    assert follow_up(organization, jobs_runner).reply_to == [manager.email]
    mail.outbox.clear()
    Lead.objects.all().delete()
    sent = follow_up(organization, jobs_runner, assignee=member)
    assert (sent.reply_to, sent.from_email) == ([member.email], '"Acme" <no-reply@example.org>')


def test_mail_that_nobody_would_read_a_reply_to_does_not_ask_for_one(jobs_runner: JobsRunner) -> None:
    sent = follow_up(make_organization(), jobs_runner)
    html = str(sent.alternatives[0][0])
    assert sent.reply_to == []
    for text in (sent.body, html):
        assert "reply" not in text
        assert "be in touch soon" in text


@pytest.mark.parametrize("name", ["Ac\r\nBcc: x@y.example", 'A "B" \\ <c@d.example>', "Ação, Ltda.", "", "ﷺ" * 200])
def test_name_of_an_organization_makes_no_other_sender_and_no_header(jobs_runner: JobsRunner, name: str) -> None:
    organization = make_organization(name=name, mail_from="sales@acme.example")
    sent = follow_up(organization, jobs_runner)
    headers = sent.message()
    assert "Bcc" not in headers
    assert parseaddr(str(headers["From"]))[1] == "sales@acme.example"
    assert EmailMessage.objects.get(kind=EmailMessage.Kind.FOLLOW_UP).error == ""


def test_mail_to_a_member_comes_from_the_site(jobs_runner: JobsRunner) -> None:
    organization = make_organization(mail_reply_to="office@acme.example", mail_from="sales@acme.example")
    add_member(organization, make_user("mia"))
    make_lead(organization)
    jobs_runner.run()
    (sent,) = mail.outbox
    assert (sent.from_email, sent.reply_to) == ("Esteira <no-reply@example.org>", [])


@pytest.mark.parametrize(
    ("given", "language"),
    [({}, "pt-br"), ({"locale": "en_GB"}, "en"), ({"locale": "fr"}, "pt-br"), ({"locale": "pt"}, "pt-br")],
)
def test_lead_of_the_api_is_written_to_in_its_organizations_language_unless_it_says_its_own(
    jobs_runner: JobsRunner, client: Client, given: dict[str, str], language: str
) -> None:
    _key, secret = make_key(make_organization(language="pt-br"))
    lead = {"name": "Ada", "email": "ada@analytical.example", "consent": True, **given}
    headers = {"Authorization": f"Bearer {secret}", "Accept-Language": "en"}
    client.post("/api/leads/", lead, content_type="application/json", headers=headers)
    jobs_runner.run(until=THREE_DAYS)
    mails = EmailMessage.objects.filter(lead__isnull=False, recipient__isnull=True)
    assert set(mails.values_list("kind", "language")) >= {("follow_up", language)}
    assert {message.language for message in mails} == {language}
