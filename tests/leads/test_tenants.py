"""Between organizations: what one has, the staff of another neither sees nor changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Membership, Organization, User
from leads.models import CrmWebhook
from notifications.models import ContactPreference, PushDevice

from .people import make_member, make_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organization:
    return make_organization("acme")


@pytest.fixture
def umbrella() -> Organization:
    return make_organization("umbrella")


@pytest.fixture
def staff(acme: Organization) -> Client:
    """Staff of acme with every permission, and no superuser."""
    user = make_member(acme, "mia")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def person_of(organization: Organization, name: str, **flags: Any) -> User:
    user: User = make_member(organization, name)
    User.objects.filter(pk=user.pk).update(**flags)
    ContactPreference.objects.create(user=user, phone=f"+55119{user.pk.int % 10**8:08}")
    PushDevice.objects.create(user=user, name=f"phone of {name}", address=f"https://push.example/{name}")
    return user


def body(client: Client, name: str, *args: Any) -> str:
    return client.get(reverse(f"admin:{name}", args=args), follow=True).content.decode()


@pytest.mark.parametrize("page", ["notifications_contactpreference", "notifications_pushdevice", "accounts_user"])
def test_people_of_others_are_in_no_list(page: str, staff: Client, acme: Organization, umbrella: Organization) -> None:
    own, other = person_of(acme, "own"), person_of(umbrella, "other")
    assert "own" in body(staff, f"{page}_changelist")
    assert "other" not in body(staff, f"{page}_changelist").replace("another", "")
    keys = {
        "accounts_user": other.pk,
        "notifications_contactpreference": other.pk,
        "notifications_pushdevice": other.push_devices.get().pk,  # type: ignore[attr-defined]
    }
    response = staff.get(reverse(f"admin:{page}_change", args=[keys[page]]))
    assert response.status_code == 302  # it is not there
    assert own.pk != other.pk


def test_a_member_of_two_is_listed_once(staff: Client, acme: Organization, umbrella: Organization) -> None:
    both = person_of(acme, "both")
    viewer = User.objects.get(email="mia@example.org")
    for person in (both, viewer):
        Membership.objects.create(organization=umbrella, user=person)
    page = body(staff, "notifications_pushdevice_changelist")
    assert page.count(f'value="{both.push_devices.get().pk}"') == 1  # type: ignore[attr-defined]


def test_nobody_can_choose_a_person_of_others(staff: Client, umbrella: Organization) -> None:
    person_of(umbrella, "other")
    query = {"app_label": "accounts", "model_name": "membership", "field_name": "user", "term": "o"}
    assert "other" not in staff.get(reverse("admin:autocomplete"), query).content.decode()


def test_the_address_of_a_device_is_not_shown(staff: Client, acme: Organization) -> None:
    own = person_of(acme, "own")
    page = body(staff, "notifications_pushdevice_change", own.push_devices.get().pk)  # type: ignore[attr-defined]
    assert "phone of own" in page
    assert "push.example" not in page


@pytest.mark.parametrize("who", ["a superuser", "a member of another"])
def test_the_password_of_somebody_who_can_do_more_is_not_changed(
    who: str, staff: Client, acme: Organization, umbrella: Organization
) -> None:
    person = person_of(acme, "person", is_superuser=who == "a superuser")
    if who == "a member of another":
        Membership.objects.create(organization=umbrella, user=person)
    before = User.objects.get(pk=person.pk).password
    answer = staff.post(
        reverse("admin:auth_user_password_change", args=[person.pk]),
        {"password1": "an entirely new one", "password2": "an entirely new one"},
    )
    assert answer.status_code == 403
    staff.post(reverse("admin:accounts_user_delete", args=[person.pk]), {"post": "yes"})
    assert User.objects.get(pk=person.pk).password == before


def test_nobody_gives_rights_to_themselves(staff: Client) -> None:
    viewer = User.objects.get(email="mia@example.org")
    form = {"email": "mia@example.org", "is_active": "on", "is_superuser": "on"}
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    staff.post(reverse("admin:accounts_user_change", args=[viewer.pk]), {**form, **dates})
    viewer.refresh_from_db()
    assert not viewer.is_superuser
    assert viewer.user_permissions.exists()


def test_a_new_key_is_in_no_cookie_and_in_no_session(staff: Client, acme: Organization) -> None:
    answer = staff.post(reverse("admin:accounts_apikey_add"), {"organization": str(acme.pk), "name": "site"})
    secret = answer.content.decode().split("<code>")[1].split("</code>")[0]
    assert ApiKey.hash_of(secret) == ApiKey.objects.get().key_hash
    assert "no-store" in answer["Cache-Control"]
    assert not [cookie for cookie in staff.cookies.values() if secret in cookie.value]
    assert not [session for session in Session.objects.all() if secret in str(session.get_decoded())]


def test_the_webhook_secret_is_never_shown_again(staff: Client, acme: Organization, umbrella: Organization) -> None:
    webhook, theirs = (CrmWebhook.objects.create(organization=one) for one in (acme, umbrella))
    first = webhook.secret
    address = reverse("admin:leads_crmwebhook_secret", args=[webhook.pk])
    page = body(staff, "leads_crmwebhook_change", webhook.pk)
    assert first not in page
    assert "New webhook secret" in page
    assert first not in staff.get(address).content.decode()
    webhook.refresh_from_db()
    assert webhook.secret == first  # asking changes nothing
    answer = staff.post(address)
    webhook.refresh_from_db()
    assert webhook.secret != first
    assert webhook.secret in answer.content.decode()
    assert webhook.secret not in body(staff, "leads_crmwebhook_change", webhook.pk)
    assert staff.post(reverse("admin:leads_crmwebhook_secret", args=[theirs.pk])).status_code == 404


@pytest.mark.usefixtures("no_roles")
def test_the_secret_is_replaced_only_by_those_who_may_change_the_webhook(acme: Organization) -> None:
    webhook = CrmWebhook.objects.create(organization=acme)
    user = make_member(acme, "viewer")
    user.user_permissions.set(Permission.objects.filter(codename="view_crmwebhook"))
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    assert client.post(reverse("admin:leads_crmwebhook_secret", args=[webhook.pk])).status_code == 403
    assert "New webhook secret" not in body(client, "leads_crmwebhook_change", webhook.pk)


def test_a_webhook_is_added_where_there_is_none(staff: Client, acme: Organization) -> None:
    address = reverse("admin:leads_crmwebhook_add")
    form = {"organization": str(acme.pk), "url": "https://crm.example.com/leads"}
    assert staff.post(address, form).status_code == 302
    assert CrmWebhook.objects.get().url == form["url"]
    assert staff.get(address).status_code == 403
    assert address not in body(staff, "leads_crmwebhook_changelist")
