"""The staff's pages of leads."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Membership, Organization
from jobs import jobs_about
from jobs.testing import JobsRunner
from leads import receivers
from leads.models import Channel, Lead, Submission, SubmissionState
from leads.services import add_lead, receive
from notifications.models import SmsMessage

from .people import make_lead, make_member, make_organization, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_roles")]


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def lead(organization: Organization) -> Lead:
    return make_lead(organization, phone="+5511912345678", message="<script>alert(1)</script>")


def staff(client: Client, organization: Organization | None, *permissions: str) -> Any:
    user = make_user("sam", is_staff=True)
    if organization is not None:
        Membership.objects.create(organization=organization, user=user)
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client.force_login(user)
    return user


def page_of(lead: Lead) -> str:
    return reverse("admin:leads_lead_change", args=[lead.pk])


def do(lead: Lead, name: str) -> str:
    return reverse("admin:leads_lead_do", args=[lead.pk, name])


def test_page_shows_jobs_newest_first_with_links(admin_client: Client, organization: Organization) -> None:
    lead = add_lead(Lead(organization=organization, name="Ada", email="ada@analytical.example"))
    page = admin_client.get(page_of(lead)).content.decode()
    places = [page.index(reverse("admin:jobs_job_change", args=[job.pk])) for job in jobs_about(lead)]
    assert len(places) == 3
    assert places == sorted(places)


def test_page_escapes_what_strangers_wrote(admin_client: Client, lead: Lead) -> None:
    page = admin_client.get(page_of(lead)).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("name", "permission"),
    [
        ("assign", "leads.assign_lead"),
        ("status", "leads.change_lead_status"),
        ("note", "leads.add_note"),
        ("sync", "leads.sync_lead"),
        ("consent", "leads.record_consent"),
        ("withdraw", "leads.record_consent"),
        ("sms", "notifications.send_sms"),
    ],
)
def test_each_action_needs_its_own_permission(
    client: Client, lead: Lead, organization: Organization, name: str, permission: str
) -> None:
    user = staff(client, organization, "leads.view_lead")
    data = {"status": "contacted", "text": "hello", "assignee": ""}
    data |= {"purposes": "marketing", "source": "staff", "wording": "said so", "what": "all"}
    assert client.get(do(lead, name)).status_code == 403
    assert client.post(do(lead, name), data).status_code == 403
    assert do(lead, name) not in client.get(page_of(lead)).content.decode()

    app, codename = permission.split(".")
    user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    assert do(lead, name) in client.get(page_of(lead)).content.decode()
    assert client.post(do(lead, name), data).status_code == 302
    assert LogEntry.objects.filter(object_id=str(lead.pk), user=user).count() == 1


def test_opening_an_action_changes_nothing(admin_client: Client, lead: Lead, jobs_runner: JobsRunner) -> None:
    assert admin_client.get(do(lead, "sync")).status_code == 200
    jobs_runner.assert_nothing_enqueued()


def test_staff_of_another_organization_finds_no_such_lead(client: Client, lead: Lead) -> None:
    staff(client, make_organization("other"), "leads.view_lead", "leads.sync_lead")
    assert client.post(do(lead, "sync")).status_code == 404
    assert str(lead.pk) not in client.get(reverse("admin:leads_lead_changelist")).content.decode()
    assert client.get(page_of(lead)).status_code == 302


@pytest.mark.parametrize("chosen", ["", "nonsense", "another's"])
def test_new_lead_of_no_organization_of_ones_own_is_refused_in_the_form(
    client: Client, organization: Organization, chosen: str
) -> None:
    staff(client, organization, "leads.add_lead", "leads.view_lead")
    if chosen == "another's":
        chosen = str(make_organization("umbrella").pk)
    fields = {"name": "Ada", "email": "ada@analytical.example", "phone": "11912345678", "source": "other"}
    answer = client.post(reverse("admin:leads_lead_add"), {**fields, "organization": chosen})
    assert answer.status_code == 200
    assert "organization" in answer.context["adminform"].form.errors
    assert not Lead.objects.exists()


def test_assigning_announces_and_is_written_on_the_timeline(
    admin_client: Client, lead: Lead, organization: Organization, jobs_runner: JobsRunner
) -> None:
    member = make_member(organization, "max")
    admin_client.post(do(lead, "assign"), {"assignee": str(member.pk)})
    lead.refresh_from_db()
    assert lead.assignee == member
    assert "nobody → max" in admin_client.get(page_of(lead)).content.decode()
    assert {job.event for job in jobs_about(lead)} == {"LeadAssigned"}


def test_lead_cannot_be_assigned_to_a_stranger(admin_client: Client, lead: Lead) -> None:
    stranger = make_user("stranger")
    response = admin_client.post(do(lead, "assign"), {"assignee": str(stranger.pk)})
    assert response.status_code == 200
    lead.refresh_from_db()
    assert lead.assignee is None


def test_sms_is_stated_and_sent(admin_client: Client, lead: Lead, jobs_runner: JobsRunner) -> None:
    admin_client.post(do(lead, "sms"), {"text": "Call me"})
    jobs_runner.run()
    sms = SmsMessage.objects.get()
    assert (sms.to, sms.text, sms.state, sms.receipt) == ("+5511912345678", "Call me", "recorded", "local record")
    assert "Call me" in admin_client.get(page_of(lead)).content.decode()


def test_sms_to_a_lead_without_phone_is_refused(admin_client: Client, lead: Lead) -> None:
    Lead.objects.update(phone="")
    page = admin_client.post(do(lead, "sms"), {"text": "Call me"}).content.decode()
    assert "no valid phone number" in page
    assert not SmsMessage.objects.exists()


def lead_form(**fields: str) -> dict[str, str]:
    return {"name": "Grace", "email": "", "source": "event", **fields}


def test_lead_added_by_staff_is_announced(
    admin_client: Client, organization: Organization, jobs_runner: JobsRunner
) -> None:
    form = lead_form(organization=str(organization.pk), email="Grace@Navy.example")
    response = admin_client.post(reverse("admin:leads_lead_add"), form)
    assert response.status_code == 302
    assert Lead.objects.get().email_key == "grace@navy.example"
    assert {handle.job.event for handle in jobs_runner.enqueued()} == {"LeadCreated"}


def test_edited_lead_keeps_its_key_in_step_and_no_address_twice(
    admin_client: Client, lead: Lead, organization: Organization
) -> None:
    make_lead(organization, email="grace@navy.example")
    refused = admin_client.post(page_of(lead), lead_form(email="GRACE@navy.example"))
    assert "has a lead with this address" in refused.content.decode()
    assert admin_client.post(page_of(lead), lead_form(email="Ada@New.example")).status_code == 302
    lead.refresh_from_db()
    assert (lead.email_key, lead.version) == ("ada@new.example", 2)


def test_failed_submission_is_listed_and_processed_again_by_who_may(
    client: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(receivers.services, "calculate_lead_score", fail)
        submission = receive(organization, Channel.FORM, "name=Ada&email=ada%40analytical.example")
    user = staff(client, organization, "leads.view_submission")
    address = reverse("admin:leads_submission_changelist")
    again = {"action": "process_again", "_selected_action": [str(submission.pk)]}
    assert "RuntimeError: a bug" in client.get(address, {"work": "open"}).content.decode()
    client.post(address, again)
    assert Submission.objects.get().state == SubmissionState.FAILED

    user.user_permissions.add(Permission.objects.get(codename="process_submission"))
    client.post(address, again)
    assert Submission.objects.get().state == SubmissionState.PROCESSED
    assert Lead.objects.count() == 1
    assert LogEntry.objects.filter(user=user).count() == 1


def test_new_key_is_shown_once_and_kept_as_a_hash(admin_client: Client, organization: Organization) -> None:
    address = reverse("admin:accounts_apikey_add")
    page = admin_client.post(address, {"organization": str(organization.pk), "name": "site"}, follow=True)
    key = ApiKey.objects.get()
    secret = page.content.decode().split("<code>")[1].split("</code>")[0]
    assert ApiKey.hash_of(secret) == key.key_hash
    again = admin_client.get(reverse("admin:accounts_apikey_change", args=[key.pk])).content.decode()
    assert secret not in again


def test_member_added_by_staff_is_announced(
    admin_client: Client, organization: Organization, jobs_runner: JobsRunner
) -> None:
    user = make_user("new")
    form = {"organization": str(organization.pk), "user": str(user.pk), "role": "agent", "language": ""}
    assert admin_client.post(reverse("admin:accounts_membership_add"), form).status_code == 302
    assert [handle.job.event for handle in jobs_runner.enqueued()] == ["MemberJoined"]


def test_every_list_and_page_opens(admin_client: Client, lead: Lead, organization: Organization) -> None:
    receive(organization, Channel.FORM, "name=Ada&email=ada%40analytical.example")
    models = {
        "accounts": ("organization", "membership", "invitation", "apikey", "user"),
        "leads": ("crmwebhook", "lead", "submission", "crmdelivery", "consentrecord"),
        "emails": ("emailmessage", "campaign"),
        "notifications": ("notification", "smsmessage", "pushmessage", "pushdevice", "contactpreference"),
    }
    for app, names in models.items():
        for name in names:
            address = reverse(f"admin:{app}_{name}_changelist")
            assert admin_client.get(address).status_code == 200, address
            assert admin_client.get(address, {"q": str(lead.pk)}).status_code == 200, address
    submission = Submission.objects.get()
    assert admin_client.get(reverse("admin:leads_submission_change", args=[submission.pk])).status_code == 200


def test_members_page_shows_the_lead_to_members_only(
    client: Client, lead: Lead, organization: Organization, settings: Any
) -> None:
    settings.ROLES = "config.roles.ROLES"
    address = lead.get_absolute_url()
    assert client.get(address).headers["Location"].startswith("/accounts/login/")
    client.force_login(make_member(organization, "max"))
    assert "Ada" in client.get(address).content.decode()
    client.force_login(make_member(make_organization("other"), "eve"))
    assert client.get(address).status_code == 404
