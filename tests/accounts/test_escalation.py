"""Nobody comes to more than they were given: not by their own page, by somebody else's, by a group, or by deleting."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from accounts.models import Invitation, Membership, Organization, Role, User
from accounts.services import invite_member
from jobs import clock
from jobs.models import Job
from leads.models import CrmWebhook
from notifications.models import ContactPreference, Notification
from tests.leads.people import make_key, make_lead, make_member, make_organization

pytestmark = pytest.mark.django_db
DATES = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}


def signed_in(user: Any, *permissions: str) -> Client:
    """The person, with these permissions as such: ticked on their page."""
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def of(organization: Organization, user: Any) -> Membership:
    return Membership.objects.get(organization=organization, user=user)


def delete_selected(client: Client, page: str, *rows: Any) -> Any:
    chosen = {"action": "delete_selected", "_selected_action": [str(row.pk) for row in rows], "post": "yes"}
    return client.post(reverse(f"admin:{page}_changelist"), chosen, follow=True)


@pytest.mark.parametrize("who", ["a superuser", "a member of another", "an owner"])
def test_somebody_who_can_do_more_is_not_deleted_among_others(
    who: str, acme: Organization, umbrella: Organization
) -> None:
    client = signed_in(make_member(acme, "mia"), "accounts.view_user", "accounts.delete_user")
    client = signed_in(User.objects.get(email="mia@example.org"), "accounts.delete_membership", "accounts.change_user")
    make_member(acme, "second", Role.OWNER)
    person = make_member(acme, "person", Role.OWNER if who == "an owner" else Role.AGENT)
    if who == "a superuser":
        User.objects.filter(pk=person.pk).update(is_superuser=True)
    if who == "a member of another":
        Membership.objects.create(organization=umbrella, user=person)
    delete_selected(client, "accounts_user", person)
    client.post(reverse("admin:accounts_user_delete", args=[person.pk]), {"post": "yes"})
    assert User.objects.filter(pk=person.pk).exists()


@pytest.mark.parametrize("role", [Role.MANAGER, Role.OWNER])
def test_the_address_and_password_of_somebody_above_are_not_changed(acme: Organization, role: Role) -> None:
    client = signed_in(make_member(acme, "mia"), "accounts.view_user", "accounts.change_user")
    boss = make_member(acme, "boss", role)
    form = {"email": "mia+2@example.org", "is_active": "on", **DATES}
    client.post(reverse("admin:accounts_user_change", args=[boss.pk]), form)
    new = {"password1": "an entirely new one", "password2": "an entirely new one"}
    client.post(reverse("admin:auth_user_password_change", args=[boss.pk]), new)
    after = User.objects.get(pk=boss.pk)
    assert (after.email, after.password) == (boss.email, boss.password)


def test_nor_those_of_somebody_with_permissions_that_one_lacks(acme: Organization) -> None:
    client = signed_in(make_member(acme, "mia"), "accounts.view_user", "accounts.change_user")
    clerk = make_member(acme, "clerk")
    clerk.groups.add(Group.objects.create(name="operators"))
    Group.objects.get().permissions.add(Permission.objects.get(codename="view_every_scope"))
    form = {"email": "mia+2@example.org", "is_active": "on", **DATES}
    client.post(reverse("admin:accounts_user_change", args=[clerk.pk]), form)
    assert User.objects.get(pk=clerk.pk).email == "clerk@example.org"


def test_somebody_who_can_do_no_more_is_looked_after(acme: Organization) -> None:
    mia = make_member(acme, "mia", Role.MANAGER)
    client = signed_in(mia, "accounts.view_user", "accounts.change_user")
    clerk = make_member(acme, "clerk")
    form = {"email": "clerk@example.com", "is_active": "on", **DATES}
    assert client.post(reverse("admin:accounts_user_change", args=[clerk.pk]), form).status_code == 302
    assert User.objects.get(pk=clerk.pk).email == "clerk@example.com"


def test_groups_are_for_superusers(acme: Organization) -> None:
    group = Group.objects.create(name="operators")
    mia = make_member(acme, "mia")
    mia.groups.add(group)
    client = signed_in(mia, *(f"auth.{verb}_group" for verb in ("view", "add", "change", "delete")))
    every = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
    form = {"name": "operators", "permissions": every}
    assert client.get(reverse("admin:auth_group_change", args=[group.pk])).status_code == 200
    assert client.post(reverse("admin:auth_group_change", args=[group.pk]), form).status_code == 403
    assert client.post(reverse("admin:auth_group_add"), {**form, "name": "more"}).status_code == 403
    client.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
    delete_selected(client, "auth_group", group)
    assert (Group.objects.count(), group.permissions.count()) == (1, 0)


@pytest.mark.parametrize("role", [Role.AGENT, Role.MANAGER])
def test_nobody_makes_an_owner_who_is_none(acme: Organization, role: Role) -> None:
    boss, mia = make_member(acme, "boss", Role.OWNER), make_member(acme, "mia", role)
    everything = (f"accounts.{verb}_membership" for verb in ("view", "add", "change", "delete"))
    client = signed_in(mia, *everything, "accounts.view_user")
    other = make_member(make_organization("own-of-mia"), "friend")
    Membership.objects.create(organization=other.memberships.get().organization, user=mia, role=Role.OWNER)
    page = reverse("admin:accounts_membership_change", args=[of(acme, mia).pk])
    client.post(page, {"role": "owner", "language": ""})
    new = {"user": str(other.pk), "organization": str(acme.pk), "role": "owner", "language": ""}
    client.post(reverse("admin:accounts_membership_add"), new)
    assert set(acme.memberships.filter(role=Role.OWNER).values_list("user", flat=True)) == {boss.pk}
    # nor does anybody take the role from one who is above
    make_member(acme, "second", Role.OWNER)
    page = reverse("admin:accounts_membership_change", args=[of(acme, boss).pk])
    assert client.post(page, {"role": "agent", "language": ""}).status_code == 403
    client.post(reverse("admin:accounts_membership_delete", args=[of(acme, boss).pk]), {"post": "yes"})
    delete_selected(client, "accounts_membership", of(acme, boss))
    assert of(acme, boss).role == Role.OWNER


@pytest.mark.parametrize("page", ["accounts_membership", "notifications_contactpreference"])
def test_a_person_of_others_cannot_be_chosen_by_their_key(
    page: str, acme: Organization, umbrella: Organization
) -> None:
    app, model = page.split("_")
    mia = make_member(acme, "mia", Role.OWNER)
    client = signed_in(mia, f"{app}.add_{model}", "accounts.view_user")
    stranger = make_member(umbrella, "stranger")
    form = {"user": str(stranger.pk), "organization": str(acme.pk), "role": "agent", "phone": "+5511912345678"}
    answer = client.post(reverse(f"admin:{page}_add"), form)
    assert "user" in answer.context["adminform"].form.errors
    assert not ContactPreference.objects.exists()
    assert not stranger.memberships.filter(organization=acme).exists()


def test_an_owner_does_not_change_where_somebody_who_belongs_to_others_too_is_reached(
    acme: Organization, umbrella: Organization
) -> None:
    client = signed_in(make_member(acme, "mia", Role.OWNER))
    own, shared = make_member(acme, "own"), make_member(acme, "shared")
    Membership.objects.create(organization=umbrella, user=shared)
    for person, phone in ((own, "+5511912345678"), (shared, "")):
        ContactPreference.objects.create(user=person)
        page = reverse("admin:notifications_contactpreference_change", args=[person.pk])
        client.post(page, {"phone": "+5511912345678", "wants_sms": "on"})
        assert ContactPreference.objects.get(user=person).phone == phone


def test_a_form_that_is_refused_changes_nothing(acme: Organization) -> None:
    client = signed_in(make_member(acme, "boss", Role.OWNER))
    second = of(acme, make_member(acme, "second", Role.OWNER))
    page = reverse("admin:accounts_membership_change", args=[second.pk])
    answer = client.post(page, {"role": "agent", "language": "tlh"})
    assert "language" in answer.context["adminform"].form.errors
    second.refresh_from_db()
    assert second.role == Role.OWNER


def test_the_last_owner_is_not_deleted_as_a_user_either(acme: Organization, admin_client: Client) -> None:
    boss = make_member(acme, "boss", Role.OWNER)
    page = reverse("admin:accounts_user_delete", args=[boss.pk])
    assert "last owner" in admin_client.get(page).content.decode()
    admin_client.post(page, {"post": "yes"})
    delete_selected(admin_client, "accounts_user", boss)
    assert User.objects.filter(pk=boss.pk).exists()
    make_member(acme, "second", Role.OWNER)
    admin_client.post(page, {"post": "yes"})
    assert not User.objects.filter(pk=boss.pk).exists()


def test_an_organization_goes_with_its_members_invitations_keys_and_webhook(
    acme: Organization, admin_client: Client
) -> None:
    boss = make_member(acme, "boss", Role.OWNER)
    invite_member(acme, "new@example.org", by=boss)
    make_key(acme)
    CrmWebhook.objects.create(organization=acme)
    admin_client.post(reverse("admin:accounts_organization_delete", args=[acme.pk]), {"post": "yes"})
    assert not Organization.objects.exists()
    assert not Invitation.objects.exists()
    assert signed_in(boss).get(reverse("admin:index"), follow=True).status_code == 403


def test_what_goes_with_a_row_is_asked_for_where_it_is(acme: Organization, umbrella: Organization) -> None:
    mia = make_member(acme, "mia", Role.OWNER)
    Membership.objects.create(organization=umbrella, user=mia, role=Role.AGENT)
    make_member(umbrella, "boss", Role.OWNER)
    client = signed_in(mia, "accounts.delete_organization", "accounts.view_organization")
    # to delete memberships is allowed by the role in the first only
    client.post(reverse("admin:accounts_organization_delete", args=[umbrella.pk]), {"post": "yes"})
    delete_selected(client, "accounts_organization", umbrella)
    assert Organization.objects.filter(pk=umbrella.pk).exists()


@pytest.mark.parametrize("act", ["retry", "cancel", "promote"])
def test_jobs_are_operated_where_that_is_allowed(act: str, acme: Organization, umbrella: Organization) -> None:
    mia = make_member(acme, "mia", Role.MANAGER)
    Membership.objects.create(organization=umbrella, user=mia, role=Role.AGENT)
    # looks everywhere, does something only where the role says so
    client = signed_in(mia, "jobs.view_job")
    state = "queued" if act == "promote" else "failed"
    fields = {"queue": "email", "task": "test.task", "state": state, "message": '{"v": 1, "args": [], "kwargs": {}}'}
    at = {"created_at": clock.now(), "ready_at": clock.now()}
    job = Job.objects.create(id=clock.new_id(), scope=str(umbrella.pk), **fields, **at)
    page = client.get(reverse("admin:jobs_job_change", args=[job.pk]))
    assert page.status_code == 200
    button = reverse(f"admin:jobs_job_{act}", args=[job.pk])
    assert button not in page.content.decode()
    assert client.post(button).status_code == 403
    listed = reverse("admin:jobs_job_changelist")
    for across in ("0", "1"):
        data = {"action": f"{act}_selected", "_selected_action": [str(job.pk)], "select_across": across}
        client.post(listed, {**data, "upto": str(job.pk)})
    job.refresh_from_db()
    assert (job.state, job.ready_at) == (state, at["ready_at"])


def test_a_job_tells_of_its_lead_only_who_may_see_the_lead(acme: Organization) -> None:
    client = signed_in(make_member(acme, "mia", Role.MANAGER))
    lead = make_lead(make_organization("umbrella"), name="Grace")
    fields = {"queue": "lead", "task": "test.task", "state": "failed", "message": '{"v": 1, "args": [], "kwargs": {}}'}
    at = {"created_at": clock.now(), "ready_at": clock.now(), "about_type": "leads.lead", "about_id": str(lead.pk)}
    job = Job.objects.create(id=clock.new_id(), scope=str(acme.pk), **fields, **at)
    page = client.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    assert "Grace" not in page


#: As a site may write it: agents look at jobs too.
LOOKERS = {"agent": {"jobs.view_job"}, "manager": {"jobs.view_job", "jobs.view_every_scope"}}


def test_a_role_never_reaches_beyond_the_organization(
    acme: Organization, umbrella: Organization, settings: Any
) -> None:
    from accounts.checks import check_roles
    from config.scopes import organizations_of

    settings.ROLES = "tests.accounts.test_escalation.LOOKERS"
    mia = make_member(acme, "mia", Role.MANAGER)
    assert organizations_of(User.objects.get(pk=mia.pk), "jobs.view_job") == [acme.pk]
    assert ["view_every_scope" in message.msg for message in check_roles(None)] == [True]


@pytest.mark.usefixtures("no_roles")
def test_the_lead_s_page_is_for_those_who_may_see_leads(acme: Organization) -> None:
    lead = make_lead(acme)
    client = signed_in(make_member(acme, "mia"))
    assert client.get(reverse("leads:lead", args=[lead.pk])).status_code == 404
    client = signed_in(User.objects.get(email="mia@example.org"), "leads.view_lead")
    assert client.get(reverse("leads:lead", args=[lead.pk])).status_code == 200


def test_what_one_did_elsewhere_is_not_told_to_who_belongs_there_no_more(
    acme: Organization, umbrella: Organization
) -> None:
    mia = make_member(acme, "mia")
    Membership.objects.create(organization=umbrella, user=mia)
    client = signed_in(mia)
    for organization, name in ((acme, "Ada"), (umbrella, "Grace")):
        lead = make_lead(organization, name=name)
        client.post(reverse("admin:leads_lead_do", args=[lead.pk, "status"]), {"status": "won"})
    assert "Grace" in client.get(reverse("admin:index")).content.decode()
    of(umbrella, mia).delete()
    page = client.get(reverse("admin:index")).content.decode()
    assert "Ada" in page
    assert "Grace" not in page


def test_the_inbox_holds_nothing_of_an_organization_that_one_has_left(
    acme: Organization, umbrella: Organization
) -> None:
    mia = make_member(acme, "mia")
    Membership.objects.create(organization=umbrella, user=mia)
    for organization in (acme, umbrella):
        Notification.objects.create(user=mia, organization=organization, title=f"News of {organization}")
    Notification.objects.create(user=mia, title="News of the site")
    of(umbrella, mia).delete()
    page = signed_in(mia).get(reverse("notifications:inbox"))
    assert [text in page.content.decode() for text in ("of Acme", "of the site", "of Umbrella")] == [True, True, False]
    assert "no-store" in page["Cache-Control"]
