"""Lists of the product's tables: search by index, deleting that counts, actions on what is ticked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import ApiKey, Membership, Organization, User
from admin_lists import deletion, pages
from leads.models import Lead

pytestmark = pytest.mark.django_db

LEADS = "/admin/leads/lead/"


def make_lead(organization: Organization, name: str, email: str) -> Lead:
    return Lead.objects.create(organization=organization, name=name, email=email, email_key=email)


@pytest.fixture
def organizations() -> list[Organization]:
    return [Organization.objects.create(name=name, slug=name) for name in ("one", "two", "three")]


def names(client: Client, query: str) -> list[str]:
    return [lead.name for lead in client.get(f"{LEADS}{query}").context["cl"].result_list]


def test_leads_are_found_by_how_name_or_address_begins_and_by_id(
    admin_client: Client, organizations: list[Organization]
) -> None:
    ada = make_lead(organizations[0], "Ada Lovelace", "countess@engine.example")
    make_lead(organizations[0], "Grace Hopper", "ada.fan@navy.example")
    make_lead(organizations[0], "Nada", "nobody@mail.example")
    assert names(admin_client, "?q=ADA") == ["Grace Hopper", "Ada Lovelace"]
    assert names(admin_client, "?q=ada l") == ["Ada Lovelace"]
    assert names(admin_client, "?q=Countess@") == ["Ada Lovelace"]
    assert names(admin_client, f"?q={ada.pk}") == ["Ada Lovelace"]
    assert names(admin_client, f"?q={ada.pk.hex}") == ["Ada Lovelace"]
    assert names(admin_client, "?q=%25") == names(admin_client, "?q=_da") == []


@pytest.mark.parametrize("few", [1, 500])
def test_a_member_of_several_organizations_pages_through_all_of_them_and_no_other(
    client: Client, organizations: list[Organization], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    made = [make_lead(organizations[i % 3], f"lead {i}", f"{i}@mail.example") for i in range(180)]
    user = User.objects.create_user("staff@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_lead"))
    for organization in organizations[:2]:
        Membership.objects.create(user=user, organization=organization)
    client.force_login(user)
    seen: list[str] = []
    link: Any = ""
    while link is not None:
        page = client.get(f"{LEADS}{link}").context["cl"]
        seen += [lead.name for lead in page.result_list]
        link = page.older_link
    assert seen == [lead.name for lead in reversed(made) if lead.organization != organizations[2]]
    assert client.get(LEADS).context["cl"].result_label == "120"


def test_what_deleting_takes_along_is_counted_and_too_much_is_refused(
    admin_client: Client, organizations: list[Organization], monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        make_lead(organizations[0], f"lead {i}", f"{i}@mail.example")
    Lead.objects.update(erased_at=timezone.now())
    address = reverse("admin:accounts_organization_delete", args=[organizations[0].pk])
    page = admin_client.get(address).content.decode()
    assert "Leads: 3" in page
    assert "lead 1" not in page
    monkeypatch.setattr(deletion, "MOST", 2)
    assert "more than 2 leads" in admin_client.get(address).content.decode()
    admin_client.post(address, {"post": "yes"})
    assert Lead.objects.count() == 3
    monkeypatch.setattr(deletion, "MOST", 3)
    admin_client.post(address, {"post": "yes"})
    assert Lead.objects.count() == 0


def test_an_action_works_on_what_is_ticked_whatever_the_browser_says(
    admin_client: Client, organizations: list[Organization]
) -> None:
    keys = [
        ApiKey.objects.create(organization=organizations[0], name=str(i), prefix="esk_", key_hash=str(i))
        for i in range(3)
    ]
    ticked = {"action": "revoke", "select_across": "1", "_selected_action": [str(keys[0].pk)]}
    admin_client.post(reverse("admin:accounts_apikey_changelist"), ticked)
    assert list(ApiKey.objects.filter(revoked_at__isnull=False)) == [keys[0]]


def test_look_ups_of_a_visitors_own_making_are_refused(admin_client: Client) -> None:
    assert admin_client.get(f"{LEADS}?message__contains=x").status_code == 400
    assert admin_client.get(f"{LEADS}?status__exact=new").status_code == 200


def test_a_wrong_edge_leads_to_the_plain_list(admin_client: Client, organizations: list[Organization]) -> None:
    key = UUID(int=7)
    for edge in ("nonsense", "nonsense~7", "2026-01-01T00:00:00+00:00~7", f"9999-12-31T23:59:59-10:00~{key}"):
        assert admin_client.get(LEADS, {"before": edge}).headers["Location"] == f"{LEADS}?e=1"
    make_lead(organizations[0], "Ada", "ada@engine.example")
    for edge in (f"2026-01-01~{key}", f"2026-01-01 00:00~{key}"):  # of no time zone
        assert admin_client.get(LEADS, {"after": edge}).status_code == 200, edge


@pytest.mark.parametrize(
    ("address", "field"), [("accounts_user_change", "user_permissions"), ("auth_group_add", "permissions")]
)
def test_permissions_are_offered_in_the_readers_language(admin_client: Client, address: str, field: str) -> None:
    args = [User.objects.get().pk] if address.endswith("change") else []
    form = (
        admin_client.get(reverse(f"admin:{address}", args=args), headers={"Accept-Language": "pt-BR"})
        .context["adminform"]
        .form
    )
    with translation.override("pt-br"):
        labels = [str(label) for _value, label in form.fields[field].choices]
    assert "Tarefas | tarefa | Pode cancelar tarefas" in labels
    assert "Leads | lead | Pode modificar: lead" in labels
    assert len(labels) == Permission.objects.count()
    assert [label for label in labels if " | Can " in label] == []
