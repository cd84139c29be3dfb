"""What the product itself notes on an effect is stored in English and shown in the reader's language."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import User
from emails.models import EmailMessage
from leads.models import effect
from tests.leads.people import make_lead, make_organization

NOTES = sorted(effect._NOTES)


@pytest.mark.parametrize("note", [*NOTES, effect.LATER_VERSION % {"version": 7}])
def test_each_note_is_translated(note: str) -> None:
    with translation.override("en"):
        assert EmailMessage(error=note).shown_error() == note
    with translation.override("pt-br"):
        shown = EmailMessage(error=note).shown_error()
    assert shown != note
    assert ("7" in note) == ("7" in shown)


def test_what_a_mail_server_said_stays_as_it_is() -> None:
    with translation.override("pt-br"):
        assert EmailMessage(error="SMTPError: no").shown_error() == "SMTPError: no"


@pytest.mark.django_db
def test_the_mails_page_shows_the_note_in_the_readers_language(client: Client) -> None:
    organization = make_organization()
    row = EmailMessage.objects.create(
        organization=organization, lead=make_lead(organization), to="a@example.org", error=effect.NO_MAIL
    )
    client.force_login(User.objects.create_superuser("boss@example.org"))
    page = client.get(reverse("admin:emails_emailmessage_change", args=[row.pk]), headers={"accept-language": "pt-br"})
    assert "o lead não recebe e-mails" in page.content.decode()
    assert effect.NO_MAIL not in page.content.decode()
