"""Old mails lose their content at night, as the setting says; their rows stay, and keep them from going again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from emails import retention, services
from emails.models import EmailMessage
from emails.tasks import empty_mails
from jobs import Cron
from leads.models import EffectState
from tests.leads.people import make_lead, make_organization, make_user

pytestmark = pytest.mark.django_db


def make_mail(state: EffectState, *, days: int, sent: int | None = None, **fields: Any) -> EmailMessage:
    """A mail that was stated so many days ago, and sent then or later."""
    fields |= {"params": {"name": "Ada"}, **dict.fromkeys(("subject", "text", "html", "error"), "Ada"), "to": "a@b.c"}
    row = EmailMessage.objects.create(kind="welcome", key=f"{state} {days} {sent}", state=state, **fields)
    now = timezone.now()
    sent_at = now - timedelta(days=days if sent is None else sent) if state == EffectState.SENT else None
    EmailMessage.objects.filter(pk=row.pk).update(created_at=now - timedelta(days=days), sent_at=sent_at)
    row.refresh_from_db()
    return row


def test_content_of_old_mails_goes_and_what_waits_for_a_person_keeps_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAIL_KEEP_DAYS = 30
    monkeypatch.setattr(retention, "PIECE", 2)
    for state in EffectState:
        for days in (5, 40):
            make_mail(state, days=days)
    make_mail(EffectState.SENT, days=40, sent=5)  # again, lately
    assert [empty_mails.call() for _ in range(2)] == [{"emptied": 4}, {"emptied": 0}]
    emptied = EmailMessage.objects.filter(text="")
    assert set(emptied.values_list("state", flat=True)) == {"sent", "recorded", "refused", "skipped"}
    assert set(emptied.values_list("subject", "html", "to")) == {("", "", "")}
    assert EmailMessage.objects.filter(text="Ada", emptied_at=None).count() == 2 * len(EffectState) + 1 - 4


def test_nothing_is_left_to_send_of_an_emptied_mail(settings: Any) -> None:
    settings.MAIL_KEEP_DAYS = 30
    lead = make_lead(make_organization())
    row = make_mail(EffectState.REFUSED, days=40, lead=lead)
    assert row.can_be_repeated
    empty_mails.call()
    assert services.resend(row) is None
    row.refresh_from_db()
    assert (row.can_be_repeated, row.state, row.to, row.error) == (False, EffectState.REFUSED, "a@b.c", "")


def test_the_address_of_an_emptied_mail_goes_with_its_person(settings: Any) -> None:
    settings.MAIL_KEEP_DAYS = 30
    boss = make_user("boss")
    row = make_mail(EffectState.SENT, days=40, recipient=boss)
    empty_mails.call()
    row.refresh_from_db()
    assert row.to == "a@b.c"
    boss.delete()
    row.refresh_from_db()
    assert row.to == ""


def test_without_the_setting_everything_stays() -> None:
    make_mail(EffectState.SENT, days=4_000)
    assert empty_mails.call() == {"emptied": 0}
    assert EmailMessage.objects.get().text == "Ada"


@pytest.mark.sqlite
def test_what_is_due_is_found_by_its_index() -> None:
    assert "emails_to_empty" in retention._due(timezone.now()).explain()


def test_it_happens_every_night() -> None:
    assert list(empty_mails.schedules.values()) == [Cron("0 4 * * *", overlap="skip")]
