"""Who is known is found again, by address or phone and by any spelling of the name; who is another stays another."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from accounts.models import Organization
from leads import normalise
from leads.models import Channel, Lead
from leads.services import receive

from .people import make_lead, make_organization

PHONE = "+55 11 91234-5678"


def write(organization: Organization, **fields: Any) -> Lead:
    submission = receive(organization, Channel.API, json.dumps({"name": "Ada"} | fields))
    assert submission.lead is not None, submission.errors
    return submission.lead


@pytest.mark.django_db
def test_who_writes_by_phone_only_is_the_same_lead_in_any_spelling() -> None:
    organization = make_organization(country="BR")
    first = write(organization, phone=PHONE)
    for spelling in ("(11) 91234-5678", "+5511912345678", "+55 (0) 11 9.1234.5678"):
        assert write(organization, phone=spelling) == first
    assert write(make_organization("other"), phone=PHONE) != first


@pytest.mark.django_db
def test_phone_alone_finds_the_one_lead_that_gave_it_with_an_address() -> None:
    organization = make_organization()
    first = write(organization, email="ada@analytical.example", phone=PHONE)
    assert write(organization, phone=PHONE) == first
    assert write(organization, email="grace@navy.example", phone=PHONE) != first


@pytest.mark.django_db
def test_switchboards_number_that_several_gave_is_nobodys() -> None:
    organization = make_organization()
    ada = write(organization, email="ada@analytical.example", phone=PHONE)
    grace = write(organization, email="grace@navy.example", phone=PHONE)
    caller = write(organization, phone=PHONE)
    assert caller not in {ada, grace}
    assert write(organization, phone=PHONE) == caller


@pytest.mark.django_db
def test_who_was_erased_is_not_found_by_phone() -> None:
    from leads.services import erase_lead

    organization = make_organization()
    first = write(organization, phone=PHONE)
    erase_lead(first.pk)
    assert write(organization, phone=PHONE) != first


def test_two_first_messages_of_one_phone_at_once_make_one_lead(each_database: str) -> None:
    organization = make_organization()
    ready = threading.Barrier(2)
    found: list[Lead] = []

    def submit() -> None:
        try:
            ready.wait(60)
            found.append(write(organization, phone=PHONE))
        finally:
            connection.close()

    threads = [threading.Thread(target=submit) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2
    assert len(set(found)) == Lead.objects.count() == 1


@pytest.mark.django_db
def test_mailboxes_that_only_look_alike_are_two_leads() -> None:
    organization = make_organization()
    addresses = ["straße@mail.example", "strasse@mail.example", "ada@straße.example", "ada@strasse.example"]
    assert len({write(organization, email=address) for address in addresses}) == len(addresses)
    assert write(organization, email="STRASSE@MAIL.example").email == "strasse@mail.example"
    assert write(organization, email="ÉRICA@mail.example") == write(organization, email="érica@mail.example")


def test_key_of_an_address_is_never_longer_than_the_address() -> None:
    address = "İ" * 30 + "@mail.example"
    assert len(normalise.email_key(address) or "") == len(address)


@pytest.mark.parametrize("name", ["Érica Müller", "ΝΊΚΟΣ", "STRASSE", "Łukasz", "İpek", "E\u0301rica Mu\u0308ller"])
def test_lead_is_found_by_its_name_in_any_letter_case(each_database: str, name: str) -> None:
    lead = make_lead(make_organization(), name=name)
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss@example.org"))
    for text in {name, name.upper(), name.lower(), name.title(), name[:3].upper(), name[:3].lower()}:
        page = client.get("/admin/leads/lead/", {"q": text}).content.decode()
        assert str(lead.pk) in page, text
    assert str(lead.pk) not in client.get("/admin/leads/lead/", {"q": "Zoë"}).content.decode()


@pytest.mark.django_db
def test_name_that_is_edited_takes_its_key_along() -> None:
    lead = make_lead(make_organization(), name="Ada")
    lead.name = "Éva"
    lead.save(update_fields=["name"])
    assert Lead.objects.values_list("name_key", flat=True).get() == "éva"
    Lead.objects.bulk_create([Lead(organization=lead.organization, name="ÖDÖN")])
    assert Lead.objects.filter(name_key="ödön").exists()
