"""Somebody active always hears of a lead; where nobody is, `jobs status` says so."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ValidationError

from accounts.models import Membership, Organization, Role
from emails import findings as emails_findings
from emails.models import EmailMessage, Suppression
from emails.suppression import lift, suppress
from jobs.testing import JobsRunner
from leads import findings
from leads.models import Lead
from leads.recipients import people_to_mail, people_to_tell, reply_address
from leads.services import add_lead, assign_lead
from notifications.models import Notification

from .people import make_lead, make_member, make_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return make_organization()


def leave(user: Any) -> None:
    user.is_active = False
    user.save()


def told(organization: Organization, assignee: Any = None) -> list[int]:
    return [person.user_id for person in people_to_tell(organization.pk, assignee and assignee.pk)]


def test_assignee_then_managers_then_members_are_told(organization: Organization) -> None:
    max_, moe = make_member(organization, "max"), make_member(organization, "moe")
    assert told(organization) == [max_.pk, moe.pk]
    mia = make_member(organization, "mia", Role.MANAGER)
    assert told(organization) == [mia.pk]
    assert told(organization, max_) == [max_.pk]
    leave(max_)
    assert told(organization, max_) == [mia.pk]
    leave(mia)
    assert told(organization, max_) == [moe.pk]
    Membership.objects.filter(user=moe).delete()
    assert told(organization, max_) == []


def test_nobody_of_another_organization_is_told(organization: Organization) -> None:
    stranger = make_member(make_organization("other"), "eve", Role.MANAGER)
    assert told(organization) == []
    assert told(organization, stranger) == []


def test_lead_of_an_assignee_who_left_is_urgent_for_who_does_hear(
    organization: Organization, jobs_runner: JobsRunner
) -> None:
    gone, member = make_member(organization, "max"), make_member(organization, "moe")
    lead = make_lead(organization, assignee=gone)
    leave(gone)
    assign_lead(lead.pk, organization.pk, None)
    add_lead(Lead(organization=organization, name="Grace", email="grace@navy.example"))
    jobs_runner.run()
    assert {address for message in mail.outbox for address in message.to} == {member.email}
    assert set(Notification.objects.values_list("user_id", "kind")) == {(member.pk, "WARNING"), (member.pk, "URGENT")}


@pytest.fixture
def bounced(organization: Organization) -> Any:
    """Let a member's address be one to which mail bounced."""

    def bounce(user: Any) -> Suppression:
        mail = EmailMessage.objects.create(
            kind=EmailMessage.Kind.WELCOME, key=user.email, to=user.email, organization=organization, recipient=user
        )
        assert suppress(mail, Suppression.Reason.BOUNCED, "test")
        return Suppression.objects.get(message=mail)

    return bounce


def test_where_mail_does_not_reach_the_one_to_tell_the_next_in_line_gets_it(
    organization: Organization, jobs_runner: JobsRunner, bounced: Any
) -> None:
    manager, member = make_member(organization, "mia", Role.MANAGER), make_member(organization, "max")
    lifted = bounced(manager)
    assert reply_address(make_lead(organization)) == member.email
    add_lead(Lead(organization=organization, name="Grace", email="grace@navy.example"))
    jobs_runner.run()
    assert {address for message in mail.outbox for address in message.to} == {member.email}
    # in the product it still reaches the first choice
    assert set(Notification.objects.values_list("user_id", flat=True)) == {manager.pk}
    assert list(emails_findings.find()) == []
    lift(lifted, manager)
    assert [person.user_id for person in people_to_mail(organization.pk, member.pk)] == [member.pk]
    assert [person.user_id for person in people_to_mail(organization.pk, None)] == [manager.pk]


def test_leads_of_which_mail_tells_nobody_are_a_finding_until_it_reaches_somebody(
    organization: Organization, jobs_runner: JobsRunner, bounced: Any
) -> None:
    manager, member = make_member(organization, "mia", Role.MANAGER), make_member(organization, "max")
    bounced(manager)
    lifted = bounced(member)
    add_lead(Lead(organization=organization, name="Grace", email="grace@navy.example"))
    jobs_runner.run()
    assert mail.outbox == []
    # the lead's page says to whom, and why not
    assert EmailMessage.objects.get(kind="lead_notification").to == manager.email
    (finding,) = emails_findings.find()
    assert (finding.code, finding.needs_person, "Acme" in finding.text) == ("nobody_reached", True, True)
    assert finding.address == "/admin/emails/suppression/"
    lift(lifted, member)
    assert list(emails_findings.find()) == []


def test_lead_cannot_be_given_to_who_is_not_active(organization: Organization) -> None:
    gone = make_member(organization, "max")
    leave(gone)
    with pytest.raises(ValidationError, match="active member"):
        assign_lead(make_lead(organization).pk, organization.pk, gone.pk)


def test_leads_of_which_nobody_hears_are_a_finding(organization: Organization) -> None:
    assert list(findings.find()) == []
    make_lead(organization)
    (finding,) = findings.find()
    assert (finding.code, finding.needs_person) == ("nobody_hears", True)
    assert finding.address == "/admin/accounts/organization/"
    assert "Acme" in finding.text
    member = make_member(organization, "max")
    assert list(findings.find()) == []
    leave(member)
    assert [finding.code for finding in findings.find()] == ["nobody_hears"]


def test_replies_are_read_by_the_organizations_address_else_by_who_is_told(organization: Organization) -> None:
    lead = make_lead(organization)
    assert reply_address(lead) == ""
    manager, member = make_member(organization, "mia", Role.MANAGER), make_member(organization, "max")
    assert reply_address(lead) == manager.email
    lead.assignee = member
    assert reply_address(lead) == member.email
    organization.mail_reply_to = "sales@acme.example"
    organization.save()
    lead.refresh_from_db()
    assert reply_address(lead) == "sales@acme.example"
