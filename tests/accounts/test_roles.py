"""What owners, managers and agents may do, in their own organization and in no other."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts import sight
from accounts.checks import check_roles
from accounts.models import ApiKey, Invitation, Membership, Organization, Role, User
from accounts.services import change_role, remove_member
from emails.models import Campaign
from leads.models import CrmWebhook, Lead
from tests.leads.people import make_lead, make_member, make_organization

pytestmark = pytest.mark.django_db


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def fresh(user: Any) -> User:
    """Without what is kept of the roles for a request."""
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        ("leads.view_lead", {"agent", "manager", "owner"}),
        ("leads.change_lead", {"agent", "manager", "owner"}),
        ("leads.erase_lead", {"manager", "owner"}),
        ("emails.send_campaign", {"manager", "owner"}),
        ("jobs.retry_job", {"manager", "owner"}),
        ("accounts.add_invitation", {"manager", "owner"}),
        ("accounts.change_membership", {"owner"}),
        ("accounts.add_apikey", {"owner"}),
        ("leads.change_crmwebhook", {"owner"}),
        ("accounts.add_organization", set()),
        ("accounts.add_user", set()),
        ("jobs.view_every_scope", set()),
        ("jobs.pause_queue", set()),
    ],
)
def test_a_role_is_permissions(acme: Organization, umbrella: Organization, permission: str, roles: set[str]) -> None:
    for role in Role:
        user = make_member(acme, role, role)
        assert user.has_perm(permission) == (role in roles)
        assert sight.may(fresh(user), permission, acme.pk) == (role in roles)
        assert not sight.may(fresh(user), permission, umbrella.pk)


def test_a_role_holds_where_one_has_it(acme: Organization, umbrella: Organization) -> None:
    user = make_member(acme, "mia", Role.OWNER)
    Membership.objects.create(user=user, organization=umbrella, role=Role.AGENT)
    assert set(sight.organization_ids(fresh(user), "leads.view_lead") or []) == {acme.pk, umbrella.pk}
    assert sight.organization_ids(fresh(user), "leads.erase_lead") == [acme.pk]
    assert sight.organization_ids(fresh(user), "accounts.add_user") == []


def test_a_permission_given_to_the_person_holds_in_all_their_organizations(
    acme: Organization, umbrella: Organization
) -> None:
    user = make_member(acme, "mia")
    user.user_permissions.add(Permission.objects.get(codename="erase_lead"))
    Membership.objects.create(user=user, organization=umbrella)
    make_organization("initech")
    assert set(sight.organization_ids(fresh(user), "leads.erase_lead") or []) == {acme.pk, umbrella.pk}


def test_somebody_who_cannot_sign_in_may_do_nothing(acme: Organization) -> None:
    user = make_member(acme, "mia", Role.OWNER)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not fresh(user).has_perm("leads.view_lead")
    assert sight.organization_ids(fresh(user), "leads.view_lead") == []
    assert not sight.is_member(fresh(user))


def test_a_member_uses_the_admin_without_being_staff(acme: Organization, umbrella: Organization) -> None:
    client = signed_in(make_member(acme, "mia"))
    own, other = make_lead(acme, name="Ada"), make_lead(umbrella, name="Grace")
    page = client.get(reverse("admin:leads_lead_changelist")).content.decode()
    assert "Ada" in page
    assert "Grace" not in page
    assert client.get(reverse("admin:leads_lead_change", args=[own.pk])).status_code == 200
    assert client.get(reverse("admin:leads_lead_change", args=[other.pk])).status_code == 302
    assert client.get(reverse("admin:accounts_apikey_changelist")).status_code == 403
    assert client.get(reverse("admin:jobs_job_changelist")).status_code == 403
    inbox = client.get(reverse("notifications:inbox")).content.decode()
    assert reverse("admin:index") in inbox


def test_somebody_who_was_removed_finds_a_closed_door(acme: Organization) -> None:
    user = make_member(acme, "mia")
    client = signed_in(user)
    assert client.get(reverse("admin:index")).status_code == 200
    Membership.objects.all().delete()
    assert client.get(reverse("admin:index"), follow=True).status_code == 403


def test_an_action_is_refused_for_rows_where_the_role_does_not_allow_it(
    acme: Organization, umbrella: Organization
) -> None:
    user = make_member(acme, "mia", Role.MANAGER)
    Membership.objects.create(user=user, organization=umbrella, role=Role.AGENT)
    client = signed_in(user)
    drafts = [Campaign.objects.create(organization=one, name="c", subject="s", text="t") for one in (acme, umbrella)]
    address = reverse("admin:emails_campaign_changelist")

    def send(*chosen: Campaign) -> str:
        data = {"action": "send", "_selected_action": [str(one.pk) for one in chosen]}
        return client.post(address, data, follow=True).content.decode()

    assert "nothing was done" in send(*drafts)
    assert set(Campaign.objects.values_list("state", flat=True)) == {"draft"}
    send(drafts[0])
    assert Campaign.objects.get(organization=acme).state == "sending"
    assert "nothing was done" in send(drafts[1])
    assert Campaign.objects.get(organization=umbrella).state == "draft"


def test_a_page_is_read_only_where_the_role_only_lets_look(acme: Organization, umbrella: Organization) -> None:
    user = make_member(acme, "mia", Role.MANAGER)
    Membership.objects.create(user=user, organization=umbrella, role=Role.AGENT)
    client = signed_in(user)
    theirs = Campaign.objects.create(organization=umbrella, name="c", subject="s", text="t")
    page = reverse("admin:emails_campaign_change", args=[theirs.pk])
    assert client.get(page).status_code == 200
    form = {"organization": str(umbrella.pk), "name": "taken", "subject": "s", "text": "t"}
    assert client.post(page, form).status_code == 403
    assert client.post(reverse("admin:emails_campaign_delete", args=[theirs.pk]), {"post": "yes"}).status_code == 403
    answer = client.post(reverse("admin:emails_campaign_add"), form)
    assert "organization" in answer.context["adminform"].form.errors
    assert Campaign.objects.get().name == "c"


def test_a_lead_s_actions_are_those_of_the_role_in_its_organization(acme: Organization, umbrella: Organization) -> None:
    user = make_member(acme, "mia", Role.MANAGER)
    Membership.objects.create(user=user, organization=umbrella, role=Role.AGENT)
    client = signed_in(user)
    for organization, status in ((acme, 200), (umbrella, 403)):
        lead = make_lead(organization)
        assert client.get(reverse("admin:leads_lead_do", args=[lead.pk, "erase"])).status_code == status
        assert client.get(reverse("admin:leads_lead_do", args=[lead.pk, "note"])).status_code == 200
    assert Lead.objects.filter(erased_at__isnull=False).count() == 0


def test_an_owner_makes_keys_and_a_webhook_for_their_own_organization_only(
    acme: Organization, umbrella: Organization
) -> None:
    client = signed_in(make_member(acme, "mia", Role.OWNER))
    for organization in (acme, umbrella):
        client.post(reverse("admin:accounts_apikey_add"), {"organization": str(organization.pk), "name": "site"})
        form = {"organization": str(organization.pk), "url": "https://crm.example.com/leads"}
        client.post(reverse("admin:leads_crmwebhook_add"), form)
    assert [key.organization for key in ApiKey.objects.all()] == [acme]
    assert [webhook.organization for webhook in CrmWebhook.objects.all()] == [acme]


@pytest.mark.parametrize("role", [Role.AGENT, Role.MANAGER])
def test_only_an_owner_changes_roles(acme: Organization, role: Role) -> None:
    make_member(acme, "boss", Role.OWNER)
    user = make_member(acme, "mia", role)
    own = Membership.objects.get(user=user)
    form = {"role": "owner", "language": ""}
    page = reverse("admin:accounts_membership_change", args=[own.pk])
    assert signed_in(user).post(page, form).status_code == 403
    assert Membership.objects.get(user=user).role == role


def test_an_organization_keeps_an_owner(acme: Organization) -> None:
    boss = make_member(acme, "boss", Role.OWNER)
    client, own = signed_in(boss), Membership.objects.get(user=boss)
    page = reverse("admin:accounts_membership_change", args=[own.pk])
    answer = client.post(page, {"role": "agent", "language": ""})
    assert "role" in answer.context["adminform"].form.errors
    delete = reverse("admin:accounts_membership_delete", args=[own.pk])
    assert "last owner" in client.get(delete).content.decode()
    client.post(delete, {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [str(own.pk)], "post": "yes"}
    client.post(reverse("admin:accounts_membership_changelist"), chosen)
    assert Membership.objects.get().role == Role.OWNER
    for act in (lambda: change_role(own, Role.AGENT), lambda: remove_member(own)):
        with pytest.raises(Exception, match="needs an owner"):
            act()  # type: ignore[no-untyped-call]
    make_member(acme, "second", Role.OWNER)
    assert client.post(page, {"role": "agent", "language": "pt-br"}).status_code == 302
    own.refresh_from_db()
    assert (own.role, own.language) == ("agent", "pt-br")


def test_nobody_invites_into_a_role_above_their_own(acme: Organization) -> None:
    client = signed_in(make_member(acme, "mia", Role.MANAGER))
    address = reverse("admin:accounts_invitation_add")
    form = {"organization": str(acme.pk), "email": "new@example.org", "language": ""}
    answer = client.post(address, {**form, "role": "owner"})
    assert "role" in answer.context["adminform"].form.errors
    assert client.post(address, {**form, "role": "manager"}).status_code == 302
    assert Invitation.objects.get().role == "manager"


def test_the_page_of_roles_is_checked(settings: Any) -> None:
    assert check_roles(None) == []
    settings.ROLES = "tests.accounts.test_roles.WRONG"
    assert [message.msg for message in check_roles(None)] == [
        "tests.accounts.test_roles.WRONG names 'boss', which does not exist: correct it, or take it out.",
        "tests.accounts.test_roles.WRONG names 'leads.look_at_lead', which does not exist: correct it, or take it out.",
    ]


def test_the_only_organization_is_chosen_and_the_page_of_a_new_row_shows_nothing_empty(acme: Organization) -> None:
    make_organization("umbrella")
    client = signed_in(make_member(acme, "mia", Role.OWNER))
    form = client.get(reverse("admin:accounts_invitation_add")).context["adminform"].form
    assert (form.get_initial_for_field(form.fields["organization"], "organization"), list(form.fields)) == (
        acme,
        ["organization", "email", "role", "language"],
    )
    page = client.get(reverse("admin:accounts_invitation_add")).content.decode()
    assert "invited_by" not in page


WRONG = {"boss": {"leads.view_lead"}, "agent": {"leads.look_at_lead"}}
