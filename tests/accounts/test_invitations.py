"""Invitations: mailed, accepted by who reads the mail, once, and by nobody else."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Invitation, Membership, Organization, Role, User
from accounts.services import accept_invitation, invite_member, withdraw_invitation
from emails.models import EmailMessage
from jobs.testing import JobsRunner
from tests.leads.people import make_member, make_organization

pytestmark = pytest.mark.django_db
JOIN = reverse("accounts:join")
SECRET = "an entirely new one"
FORM = {"first_name": "Ada", "last_name": "Lovelace", "password1": SECRET, "password2": SECRET}


def link(message: Any) -> str:
    (address,) = re.findall(r"https?://\S+/accounts/invitation/\S+", str(message.body))
    return urlsplit(address).path


def invited(acme: Organization, jobs_runner: JobsRunner, email: str = "ada@example.org", **fields: Any) -> str:
    """The path of the link in the mail."""
    invite_member(acme, email, **fields)
    jobs_runner.run()
    message = mail.outbox[-1]
    assert message.to == [email]
    return link(message)


def test_somebody_new_chooses_a_password_and_is_in(acme: Organization, client: Client, jobs_runner: JobsRunner) -> None:
    path = invited(acme, jobs_runner, role=Role.MANAGER, language="en", by=make_member(acme, "mia", Role.OWNER))
    page = client.get(path, follow=True)
    assert page.redirect_chain[-1][0] == JOIN
    assert "ada@example.org" in page.content.decode()
    assert client.post(JOIN, FORM)["Location"] == reverse("home")
    ada = User.objects.get(email="ada@example.org")
    assert ada.check_password("an entirely new one")
    assert (ada.shown_name, ada.is_staff, ada.memberships.get().role) == ("Ada Lovelace", False, "manager")
    assert client.get(reverse("admin:leads_lead_changelist")).status_code == 200
    assert Invitation.objects.get().state == "accepted"
    jobs_runner.run()
    assert "Welcome" in mail.outbox[-1].subject
    # once
    again = Client()
    assert again.get(path, follow=True).status_code == 410
    assert again.post(JOIN, {**FORM}).status_code == 410


def test_opening_the_link_joins_nobody(acme: Organization, client: Client, jobs_runner: JobsRunner) -> None:
    client.get(invited(acme, jobs_runner), follow=True)
    assert not Membership.objects.exists()
    assert not User.objects.exists()


def test_somebody_known_signs_in_first(acme: Organization, client: Client, jobs_runner: JobsRunner) -> None:
    User.objects.create_user("ada@example.org", "the right one")
    path = invited(acme, jobs_runner)
    page = client.get(path, follow=True)
    sign_in, _status = page.redirect_chain[-1]
    assert sign_in == f"{reverse('login')}?next={JOIN}"
    # whoever has the link alone cannot set a password for somebody who has one
    assert client.post(JOIN, FORM)["Location"] == sign_in
    after = client.post(sign_in, {"username": "ada@example.org", "password": "the right one"}, follow=True)
    assert after.redirect_chain[-1][0] == JOIN
    assert client.post(JOIN)["Location"] == reverse("home")
    assert Membership.objects.get().user.email == "ada@example.org"


def test_nobody_joins_for_somebody_else(acme: Organization, client: Client, jobs_runner: JobsRunner) -> None:
    User.objects.create_user("ada@example.org")
    eve = User.objects.create_user("eve@example.org", "x")
    path = invited(acme, jobs_runner)
    client.force_login(eve)
    assert "eve@example.org" in client.get(path, follow=True).content.decode()
    client.post(JOIN)
    with pytest.raises(ValidationError, match="another email address"):
        accept_invitation(Invitation.objects.get().pk, eve)
    assert not Membership.objects.exists()


def test_a_link_that_was_withdrawn_expired_or_made_up_leads_nowhere(
    acme: Organization, client: Client, jobs_runner: JobsRunner
) -> None:
    path = invited(acme, jobs_runner)
    assert client.get(path[:-3] + "AA/", follow=True).status_code == 410
    Invitation.objects.update(sent_at=timezone.now() - timedelta(days=8))
    assert client.get(path, follow=True).status_code == 410
    path = invited(acme, jobs_runner)
    assert client.get(path, follow=True).status_code == 200
    assert withdraw_invitation(Invitation.objects.get().pk)
    assert client.get(path, follow=True).status_code == 410
    assert client.post(JOIN, FORM).status_code == 410
    assert not User.objects.exists()


def test_an_invitation_sent_again_has_a_new_link_and_ends_the_old_one(
    acme: Organization, client: Client, jobs_runner: JobsRunner
) -> None:
    old = invited(acme, jobs_runner)
    Invitation.objects.update(sent_at=timezone.now() - timedelta(hours=1))
    new = invited(acme, jobs_runner, email="ada@example.org", role=Role.MANAGER)
    assert old != new
    assert client.get(old, follow=True).status_code == 410
    assert client.get(new, follow=True).status_code == 200
    assert (Invitation.objects.count(), Invitation.objects.get().role) == (1, "manager")
    assert EmailMessage.objects.count() == 2


def test_the_token_is_in_no_row(acme: Organization, client: Client, jobs_runner: JobsRunner) -> None:
    path = invited(acme, jobs_runner)
    token = path.rstrip("/").rpartition("/")[2]
    client.get(path, follow=True)
    for model in apps.get_models():
        assert token not in str(list(model._base_manager.values())), model
    assert "…" in EmailMessage.objects.get().text


def test_who_is_a_member_is_not_invited(acme: Organization) -> None:
    make_member(acme, "mia")
    with pytest.raises(ValidationError, match="already a member"):
        invite_member(acme, "Mia@example.org")


def test_an_organization_sends_so_many_invitations_a_day(acme: Organization, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "invitation": (3, 86_400)}
    for number in range(3):
        invite_member(acme, f"{number}@example.org")
    with pytest.raises(ValidationError, match="too many"):
        invite_member(acme, "one-more@example.org")
    assert Invitation.objects.count() == 3


def test_a_mail_of_an_invitation_that_ended_is_not_sent(acme: Organization, jobs_runner: JobsRunner) -> None:
    withdraw_invitation(invite_member(acme, "ada@example.org").pk)
    jobs_runner.run()
    assert mail.outbox == []
    assert EmailMessage.objects.get().state == "skipped"


def test_staff_send_again_and_withdraw(acme: Organization, admin_client: Client, jobs_runner: JobsRunner) -> None:
    first = invited(acme, jobs_runner)
    address = reverse("admin:accounts_invitation_changelist")
    chosen = {"_selected_action": [str(Invitation.objects.get().pk)]}
    Invitation.objects.update(sent_at=timezone.now() - timedelta(hours=1))
    admin_client.post(address, {**chosen, "action": "send_again"})
    jobs_runner.run()
    assert link(mail.outbox[-1]) != first
    admin_client.post(address, {**chosen, "action": "withdraw"})
    assert Invitation.objects.get().state == "withdrawn"
    page = reverse("admin:accounts_invitation_change", args=[Invitation.objects.get().pk])
    assert admin_client.get(page).status_code == 200


def test_two_who_accept_at_once_are_one_member(acme: Organization) -> None:
    ada = User.objects.create_user("ada@example.org")
    invitation = invite_member(acme, "ada@example.org")
    accept_invitation(invitation.pk, ada)
    with pytest.raises(ValidationError, match="no longer open"):
        accept_invitation(invitation.pk, ada)
    assert Membership.objects.count() == 1


def test_the_invitation_is_in_the_organization_s_language(jobs_runner: JobsRunner, client: Client) -> None:
    path = invited(make_organization("aurora", language="pt-br"), jobs_runner)
    assert mail.outbox[-1].subject == "Convite para participar de Aurora"
    assert "Escolha uma senha" in client.get(path, follow=True).content.decode()


@pytest.mark.parametrize("fate", ["removed", "demoted", "deactivated", "deleted"])
def test_an_invitation_ends_with_the_power_of_who_made_it(
    acme: Organization, client: Client, jobs_runner: JobsRunner, fate: str
) -> None:
    eve, _other = make_member(acme, "eve", Role.OWNER), make_member(acme, "other", Role.OWNER)
    path = invited(acme, jobs_runner, email="eve+2@example.org", role=Role.OWNER, by=eve)
    assert client.get(path, follow=True).status_code == 200
    own = Membership.objects.filter(user=eve)
    if fate == "removed":
        own.delete()
    elif fate == "demoted":
        own.update(role=Role.MANAGER)
    elif fate == "deactivated":
        User.objects.filter(pk=eve.pk).update(is_active=False)
    else:
        eve.delete()
    assert client.get(path, follow=True).status_code == 410
    assert client.post(JOIN, FORM).status_code == 410
    assert not User.objects.filter(email="eve+2@example.org").exists()
    newcomer = User.objects.create_user("eve+2@example.org")
    for invitation in Invitation.objects.all():
        with pytest.raises(ValidationError, match="no longer open"):
            accept_invitation(invitation.pk, newcomer)


def test_nobody_invites_above_their_own_role_by_another_way(acme: Organization, jobs_runner: JobsRunner) -> None:
    boss, mia = make_member(acme, "boss", Role.OWNER), make_member(acme, "mia", Role.MANAGER)
    invitation = invite_member(acme, "second@example.org", role=Role.OWNER, by=boss)
    client = Client()
    client.force_login(mia)
    listed = reverse("admin:accounts_invitation_changelist")
    for action in ("send_again", "withdraw"):
        client.post(listed, {"action": action, "_selected_action": [str(invitation.pk)]})
    form = {"organization": str(acme.pk), "email": "second@example.org", "role": "agent", "language": ""}
    answer = client.post(reverse("admin:accounts_invitation_add"), form)
    assert "role" in answer.context["adminform"].form.errors
    after = Invitation.objects.get()
    assert (after.role, after.state, after.sent_at, after.invited_by) == ("owner", "open", invitation.sent_at, boss)
    with pytest.raises(ValidationError):
        invite_member(acme, "third@example.org", role=Role.OWNER, by=mia)


def test_a_form_over_the_limit_says_so(acme: Organization, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "invitation": (1, 86_400)}
    client = Client()
    client.force_login(make_member(acme, "boss", Role.OWNER))
    form = {"organization": str(acme.pk), "role": "agent", "language": ""}
    for number, status in ((1, 302), (2, 200)):
        answer = client.post(reverse("admin:accounts_invitation_add"), {**form, "email": f"{number}@example.org"})
        assert answer.status_code == status
    assert "too many invitations today" in answer.content.decode()


def test_one_address_is_not_flooded_by_sending_again(acme: Organization, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "invitation_address": (3, 86_400)}
    for _time in range(3):
        invite_member(acme, "Ada@example.org")
    with pytest.raises(ValidationError, match="this address"):
        invite_member(acme, "ada@example.org")
    # another organization is not kept from it
    invite_member(make_organization("umbrella"), "ada@example.org")


def test_an_invitation_waits_for_an_account_that_is_locked(
    acme: Organization, client: Client, jobs_runner: JobsRunner
) -> None:
    User.objects.create_user("ada@example.org", "x", is_active=False)
    page = client.get(invited(acme, jobs_runner), follow=True)
    assert page.status_code == 410
    assert "signed in as" not in page.content.decode()


def test_who_has_joined_and_clicks_again_goes_home(acme: Organization, client: Client, jobs_runner: JobsRunner) -> None:
    client.get(invited(acme, jobs_runner), follow=True)
    client.post(JOIN, FORM)
    assert client.post(JOIN, FORM)["Location"] == reverse("home")


def test_an_address_that_became_a_user_meanwhile_signs_in(
    acme: Organization, client: Client, jobs_runner: JobsRunner
) -> None:
    client.get(invited(acme, jobs_runner), follow=True)
    User.objects.create_user("ada@example.org", "the right one")
    assert client.post(JOIN, FORM)["Location"].startswith(reverse("login"))
    assert User.objects.get().check_password("the right one")
    assert not Membership.objects.exists()


def test_a_link_holds_while_its_key_is_known(
    acme: Organization, client: Client, jobs_runner: JobsRunner, settings: Any
) -> None:
    path = invited(acme, jobs_runner)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key of the site", [settings.SECRET_KEY]
    assert client.get(path, follow=True).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert Client().get(path, follow=True).status_code == 410


def test_the_pages_are_kept_by_no_cache_and_the_link_names_the_site(
    acme: Organization, client: Client, jobs_runner: JobsRunner, settings: Any
) -> None:
    settings.SITE_URL, settings.ALLOWED_HOSTS = "https://esteira.example", ["*"]
    path = invited(acme, jobs_runner)
    assert f"https://esteira.example{path}" in mail.outbox[-1].body
    answer = client.get(path, headers={"host": "evil.example"})
    for page in (answer, client.get(JOIN)):
        assert "no-store" in page["Cache-Control"]
        assert page["Referrer-Policy"] == "same-origin"
    assert "evil.example" not in answer["Location"]


def test_accepting_takes_a_token_of_the_page(acme: Organization, jobs_runner: JobsRunner) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get(invited(acme, jobs_runner), follow=True)
    assert client.post(JOIN, FORM).status_code == 403
    assert not User.objects.exists()
