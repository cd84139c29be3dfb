"""Consent: two of them, a log that is only added to, and nobody agrees for somebody else."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import Limit, Membership, Organization
from emails import confirmation, intents
from emails.models import Campaign, EmailMessage, Suppression
from emails.suppression import address_hash
from emails.tasks import send_follow_up
from jobs.testing import JobsRunner
from leads import consent
from leads.models import Channel, ConsentAct, ConsentPurpose, ConsentRecord, ConsentSource, EffectState, Lead
from leads.services import (
    confirm_consent,
    erase_lead,
    receive,
    record_consent,
    unsubscribe_lead,
    update_lead,
    withdraw_marketing_consent,
)
from notifications.models import SmsMessage
from notifications.services import send_sms_to_lead

from .people import make_lead, make_organization, make_user

pytestmark = pytest.mark.django_db

ADA = "name=Ada&email=ada%40analytical.example"
BOTH = "&consent=on&marketing_consent=on"
REQUEST, MARKETING = ConsentPurpose.REQUEST, ConsentPurpose.MARKETING


@pytest.fixture
def organization() -> Organization:
    return make_organization()


def lines(lead: Lead) -> list[tuple[str, str, str]]:
    return list(ConsentRecord.objects.filter(lead=lead).order_by("at", "pk").values_list("purpose", "act", "source"))


def link_in(message: Any) -> str:
    found = re.search(r"http://localhost:8000(/mail/confirm/\S+)", message.body)
    assert found is not None
    return found[1]


def confirmations() -> list[Any]:
    return [message for message in mail.outbox if "/mail/confirm/" in message.body]


def test_form_keeps_two_consents_apart_with_time_source_and_wording(organization: Organization) -> None:
    receive(organization, Channel.FORM, ADA + BOTH, locale="pt-br")
    lead = Lead.objects.get()
    assert lead.request_consent_at is not None
    assert lead.marketing_consent_at is None
    assert sorted(lines(lead)) == [("marketing", "asked", "form"), ("request", "given", "form")]
    given = ConsentRecord.objects.get(purpose=REQUEST)
    with translation.override("pt-br"):
        assert given.wording == str(consent.FORM_WORDINGS[REQUEST])
    assert (given.wording_version, given.new, given.old) == ("form-1", lead.request_consent_at, None)


def test_wording_of_the_form_changes_only_with_its_version() -> None:
    with translation.override("en"):
        texts = "|".join(str(consent.FORM_WORDINGS[purpose]) for purpose in ConsentPurpose)
    digest = hashlib.sha256(texts.encode()).hexdigest()[:16]
    assert (consent.FORM_WORDING_VERSION, digest) == ("form-1", "878b9855dacf30fc")


def test_api_states_both_consents_of_a_new_lead_with_the_words(organization: Organization) -> None:
    body = (
        '{"name": "Ada", "email": "ada@analytical.example", "consent": true, "marketing_consent": true,'
        ' "consent_wording": "Yes to all"}'
    )
    receive(organization, Channel.API, body)
    lead = Lead.objects.get()
    assert sorted(lines(lead)) == [("marketing", "given", "api"), ("request", "given", "api")]
    assert set(lead.consents.values_list("wording", flat=True)) == {"Yes to all"}
    assert consent.has_agreed(lead, MARKETING)


@pytest.mark.parametrize("channel", [Channel.FORM, Channel.API])
def test_stranger_adds_neither_consent_nor_phone_to_a_known_lead(organization: Organization, channel: Channel) -> None:
    lead = make_lead(organization)
    api = '{"name": "Eve", "email": "ADA@analytical.example", "phone": "+442071838750", "consent": true,'
    api += ' "marketing_consent": true}'
    body = api if channel == Channel.API else f"{ADA}{BOTH}&phone=%2B442071838750"
    assert receive(organization, channel, body).answer_status == 200
    lead.refresh_from_db()
    assert (lead.request_consent_at, lead.marketing_consent_at, lead.phone) == (None, None, "")
    assert {act for _purpose, act, _source in lines(lead)} == {"asked"}


def test_follow_up_needs_request_consent_and_a_campaign_marketing_consent(organization: Organization) -> None:
    now = timezone.now()
    asked = make_lead(organization, email="a@acme.example", request_consent_at=now)
    news = make_lead(organization, email="b@acme.example", marketing_consent_at=now)
    campaign = Campaign.objects.create(organization=organization, name="c", subject="s", text="t")
    assert list(intents.campaign_leads(campaign)) == [news]
    assert send_follow_up.call(news.id, organization.id) == {"outcome": "the lead gets no mail"}
    assert intents.may_write_to(asked, EmailMessage.Kind.FOLLOW_UP)


def test_consent_that_a_form_states_counts_after_a_post_and_not_after_looking(
    organization: Organization, jobs_runner: JobsRunner, client: Client
) -> None:
    receive(organization, Channel.FORM, f"{ADA}&marketing_consent=on")
    jobs_runner.run()
    (sent,) = mail.outbox
    assert sent.to == ["ada@analytical.example"]
    path = link_in(sent)
    assert "Yes, I agree" in client.get(path).content.decode()
    lead = Lead.objects.get()
    assert lead.marketing_consent_at is None
    assert "Thank you" in Client(enforce_csrf_checks=True).post(path).content.decode()
    lead.refresh_from_db()
    assert lead.marketing_consent_at is not None
    assert lead.request_consent_at is None
    assert lines(lead)[-1] == ("marketing", "given", "confirmed")
    # a second time there is nothing left to do
    assert "nothing to confirm" in client.post(path).content.decode()
    assert len(lines(lead)) == 2


def test_agreeing_again_after_unsubscribing_counts_only_after_the_confirmation(
    organization: Organization, jobs_runner: JobsRunner, client: Client
) -> None:
    lead = make_lead(organization, request_consent_at=timezone.now(), marketing_consent_at=timezone.now())
    unsubscribe_lead(lead.id)
    receive(organization, Channel.FORM, ADA + BOTH)
    jobs_runner.run()
    lead.refresh_from_db()
    assert lead.unsubscribed_at is not None
    assert (lead.request_consent_at, lead.marketing_consent_at) == (None, None)
    assert len(mail.outbox) == len(confirmations()) == 1
    client.post(link_in(mail.outbox[0]))
    lead.refresh_from_db()
    assert lead.unsubscribed_at is None
    assert consent.has_agreed(lead, REQUEST)
    assert consent.has_agreed(lead, MARKETING)


def test_link_of_before_an_unsubscription_brings_nothing_back(
    organization: Organization, jobs_runner: JobsRunner, client: Client
) -> None:
    receive(organization, Channel.FORM, f"{ADA}&marketing_consent=on")
    jobs_runner.run()
    lead = Lead.objects.get()
    unsubscribe_lead(lead.id)
    assert "nothing to confirm" in client.post(link_in(mail.outbox[0])).content.decode()
    lead.refresh_from_db()
    assert lead.unsubscribed_at is not None
    assert lead.marketing_consent_at is None


def test_link_expires_and_a_forged_one_is_refused(
    organization: Organization, jobs_runner: JobsRunner, client: Client
) -> None:
    receive(organization, Channel.FORM, f"{ADA}&marketing_consent=on")
    jobs_runner.run()
    path = link_in(mail.outbox[0])
    assert client.post(path[:-3] + "xx/").status_code == 404
    message = EmailMessage.objects.get()
    message.created_at -= confirmation.LINK_LASTS
    late = reverse("emails:confirm", args=[confirmation.token_of(message)])
    assert client.post(late).status_code == 404
    assert Lead.objects.get().marketing_consent_at is None
    assert client.post(path).status_code == 200


def test_link_is_not_kept_where_staff_reads_the_mail(organization: Organization, jobs_runner: JobsRunner) -> None:
    receive(organization, Channel.FORM, f"{ADA}&marketing_consent=on")
    jobs_runner.run()
    message = EmailMessage.objects.get()
    token = link_in(mail.outbox[0]).split("/")[3]
    assert "/mail/confirm/" in message.text
    assert token not in message.text + message.html


def test_address_is_asked_once_a_week(organization: Organization, jobs_runner: JobsRunner) -> None:
    for _number in range(3):
        receive(organization, Channel.FORM, f"{ADA}&marketing_consent=on")
    jobs_runner.run()
    assert len(confirmations()) == 1
    for row in Limit.objects.all():
        row.times = [time - confirmation.ASKED_EVERY.total_seconds() for time in row.times]
        row.save()
    receive(organization, Channel.FORM, f"{ADA}&marketing_consent=on")
    jobs_runner.run()
    assert len(confirmations()) == 2


@pytest.mark.parametrize("reason", [Suppression.Reason.BOUNCED, Suppression.Reason.COMPLAINED])
def test_address_that_bounced_or_complained_is_never_asked(
    organization: Organization, jobs_runner: JobsRunner, reason: Any
) -> None:
    Suppression.objects.create(
        organization=organization, address_hash=address_hash("ada@analytical.example"), reason=reason
    )
    receive(organization, Channel.FORM, ADA + BOTH)
    jobs_runner.run()
    assert confirmations() == []


def test_mail_that_asks_is_not_sent_once_the_lead_has_decided(
    organization: Organization, jobs_runner: JobsRunner
) -> None:
    receive(organization, Channel.FORM, f"{ADA}&marketing_consent=on")
    unsubscribe_lead(Lead.objects.get().id)
    jobs_runner.run()
    assert mail.outbox == []
    assert EmailMessage.objects.get().state == EffectState.SKIPPED


def test_unsubscribing_withdraws_both_consents_and_leaves_a_trace(organization: Organization) -> None:
    now = timezone.now()
    lead = make_lead(organization, request_consent_at=now, marketing_consent_at=now)
    unsubscribe_lead(lead.id)
    unsubscribe_lead(lead.id)
    lead.refresh_from_db()
    assert (lead.request_consent_at, lead.marketing_consent_at) == (None, None)
    traces = lead.consents.values_list("act", "source", "old", "new", "new_unsubscribed")
    assert list(traces) == [("withdrawn", "link", now, None, lead.unsubscribed_at)] * 2


def test_person_can_neither_backdate_nor_undo_without_a_trace_of_old_and_new(organization: Organization) -> None:
    actor, before = make_user("sam"), timezone.now() - timedelta(days=30)
    lead = make_lead(organization)
    record_consent(
        lead.id, organization.id, [MARKETING], source=ConsentSource.STAFF, wording="on paper", at=before, actor=actor
    )
    line = lead.consents.get()
    assert (line.old, line.new, line.actor, line.wording) == (None, before, actor, "on paper")
    assert line.at > before + timedelta(days=29)
    unsubscribe_lead(lead.id, source=ConsentSource.STAFF, actor=actor)
    lead.refresh_from_db()
    stopped = lead.unsubscribed_at
    told: dict[str, Any] = {"source": ConsentSource.STAFF, "wording": "called back", "actor": actor}
    with pytest.raises(ValidationError, match="after that"):
        record_consent(lead.id, organization.id, [REQUEST], at=before, resubscribe=True, **told)
    with pytest.raises(ValidationError, match="future"):
        record_consent(lead.id, organization.id, [REQUEST], at=timezone.now() + timedelta(hours=1), **told)
    record_consent(lead.id, organization.id, [REQUEST], resubscribe=True, **told)
    line = lead.consents.order_by("-at")[0]
    assert (line.old_unsubscribed, line.new_unsubscribed, line.actor) == (stopped, None, actor)


def test_person_records_consent_of_an_unsubscribed_lead_and_the_lead_is_asked(
    organization: Organization, jobs_runner: JobsRunner
) -> None:
    lead = make_lead(organization)
    unsubscribe_lead(lead.id)
    (line,) = record_consent(
        lead.id, organization.id, [MARKETING], source=ConsentSource.STAFF, wording="x", actor=make_user("sam")
    )
    assert line.act == ConsentAct.ASKED
    jobs_runner.run(queue="email")
    assert len(confirmations()) == 1
    lead.refresh_from_db()
    assert lead.unsubscribed_at is not None


def test_edited_lead_keeps_its_consent(organization: Organization) -> None:
    lead = make_lead(organization)
    unsubscribe_lead(lead.id)
    edited = Lead.objects.get()
    edited.unsubscribed_at, edited.marketing_consent_at, edited.name = None, timezone.now(), "Countess"
    update_lead(edited, ["unsubscribed_at", "marketing_consent_at", "name"])
    lead.refresh_from_db()
    assert (lead.name, lead.marketing_consent_at) == ("Countess", None)
    assert lead.unsubscribed_at is not None


@pytest.mark.usefixtures("no_roles")
def test_admin_form_cannot_set_consent_and_the_actions_need_their_permission(
    client: Client, organization: Organization
) -> None:
    lead = make_lead(organization)
    unsubscribe_lead(lead.id)
    user = make_user("sam", is_staff=True)
    Membership.objects.create(organization=organization, user=user)
    for name in ("view_lead", "change_lead"):
        user.user_permissions.add(Permission.objects.get(codename=name))
    client.force_login(user)
    page = reverse("admin:leads_lead_change", args=[lead.pk])
    form = {"name": "Ada", "email": lead.email, "source": "event", "marketing_consent_at_0": "2020-01-01"}
    form |= {"marketing_consent_at_1": "10:00", "unsubscribed_at_0": "", "unsubscribed_at_1": ""}
    assert client.post(page, form).status_code == 302
    lead.refresh_from_db()
    assert lead.marketing_consent_at is None
    assert lead.unsubscribed_at is not None
    do = reverse("admin:leads_lead_do", args=[lead.pk, "consent"])
    agreed = {"purposes": "marketing", "source": "staff", "wording": "by phone", "resubscribe": "on"}
    assert client.post(do, agreed).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="record_consent"))
    assert client.post(do, {**agreed, "wording": ""}).status_code == 200
    assert client.post(do, agreed).status_code == 302
    lead.refresh_from_db()
    assert consent.has_agreed(lead, MARKETING)
    assert "by phone" in client.get(page).content.decode()


def test_log_is_only_added_to(organization: Organization) -> None:
    lead = make_lead(organization)
    unsubscribe_lead(lead.id)
    line = lead.consents.all()[0]
    for change in (line.save, line.delete, lead.consents.all().delete, lambda: lead.consents.update(act="given")):
        with pytest.raises(TypeError, match="only added to"):
            change()
    assert lead.consents.count() == 2


def test_lead_that_is_deleted_leaves_the_proof(organization: Organization) -> None:
    lead = make_lead(organization)
    unsubscribe_lead(lead.id)
    lead.delete()
    assert set(ConsentRecord.objects.values_list("lead", "address_hash")) == {
        (None, consent.address_hashes("ada@analytical.example")[0])
    }


def test_who_unsubscribed_stays_so_after_an_erasure(organization: Organization, jobs_runner: JobsRunner) -> None:
    lead = make_lead(organization, name="Ada Quixotwell")
    unsubscribe_lead(lead.id)
    erase_lead(lead.id)
    body = '{"name": "Ada", "email": "ada@analytical.example", "marketing_consent": true}'
    receive(organization, Channel.API, body)
    again = Lead.present.get()
    assert again.marketing_consent_at is None
    assert lines(again) == [("marketing", "asked", "api")]


def test_marketing_can_be_withdrawn_alone(organization: Organization) -> None:
    now = timezone.now()
    lead = make_lead(organization, request_consent_at=now, marketing_consent_at=now)
    withdraw_marketing_consent(lead.id, organization.id, actor=make_user("sam"))
    lead.refresh_from_db()
    assert (lead.request_consent_at, lead.marketing_consent_at, lead.unsubscribed_at) == (now, None, None)


def test_nothing_is_confirmed_that_was_not_asked(organization: Organization) -> None:
    lead = make_lead(organization)
    unsubscribe_lead(lead.id)
    assert confirm_consent(lead.id, list(lead.consents.values_list("pk", flat=True))) == []


def test_unsubscribed_lead_is_not_texted_even_if_the_message_was_stated_before(
    organization: Organization, jobs_runner: JobsRunner
) -> None:
    lead = make_lead(organization, phone="+5511912345678")
    send_sms_to_lead(lead, "Hi")
    unsubscribe_lead(lead.id)
    jobs_runner.run(queue="notification")
    assert SmsMessage.objects.get().state == EffectState.SKIPPED
    with pytest.raises(PermissionError):
        send_sms_to_lead(lead, "Hi again")
    assert SmsMessage.objects.count() == 1
