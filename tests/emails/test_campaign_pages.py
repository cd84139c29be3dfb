"""The members' pages of campaigns: who sees and does what, the preview, and what the page tells of progress."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from accounts.models import Role, User
from emails import services
from emails.models import Campaign, EmailMessage, Suppression
from emails.reach import reach_of
from emails.suppression import suppress
from emails.tasks import send_campaign_email
from jobs.testing import JobsRunner
from leads.models import EffectState, Lead
from leads.services import erase_lead
from tests.leads.people import make_lead, make_member, make_organization

from .campaigning import make_campaign, manager_of, planned, states, willing

pytestmark = pytest.mark.django_db
LIST = reverse("campaigns:list")
SCRIPT = "<script>alert(1)</script>"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def at(campaign: Campaign, name: str = "campaign", *more: Any) -> str:
    return reverse(f"campaigns:{name}", args=[campaign.pk, *more])


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return str(response.content.decode())


def state_of(campaign: Campaign) -> str:
    campaign.refresh_from_db()
    return campaign.state


def test_a_manager_writes_looks_tests_and_sends_and_each_write_is_noted(jobs_runner: JobsRunner) -> None:
    acme = make_organization()
    lead = willing(acme, name="Joana Prado", company="", status="contacted")
    willing(acme, name="Nobody", email="nobody@acme.example", status="lost")
    client = signed_in(make_member(acme, "mia", Role.MANAGER))
    written = {"name": "Spring", "subject": "{first_name}, news", "text": "For {company|you}.", "language": ""}
    answer = client.post(reverse("campaigns:new"), {**written, "statuses": ["new", "contacted"]})
    campaign = Campaign.objects.get()
    assert answer["Location"] == campaign.get_absolute_url()
    assert "Spring" in text_of(client, LIST)

    page = text_of(client, at(campaign))
    assert "Joana, news" in page
    assert "Status: contacted, new" in page
    assert "For you." in text_of(client, at(campaign, "preview"))

    for _click in range(2):
        client.post(at(campaign, "test"), {"lead": str(lead.pk), "key": "1"})
    jobs_runner.run()
    assert [(one.to, one.subject) for one in mail.outbox] == [(["mia@example.org"], "Joana, news")]
    assert "List-Unsubscribe" not in mail.outbox[0].extra_headers
    assert client.get("/mail/unsubscribe/test/").status_code == 404

    confirm = text_of(client, at(campaign, "start"))
    assert "Send to 1 lead now" in confirm
    for _click in range(2):
        client.post(at(campaign, "start"), {"seen": campaign.fingerprint})
    jobs_runner.run(until=timedelta(minutes=2))
    assert (state_of(campaign), states(campaign)) == ("sent", {"recorded": 1})
    assert "List-Unsubscribe" in mail.outbox[-1].extra_headers
    notes = list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))
    assert notes == ["", "Test sent.", "Sending began."]
    assert "1 of 1" in text_of(client, LIST)


def test_an_agent_sees_campaigns_and_changes_none() -> None:
    campaign = make_campaign(1)
    client = signed_in(make_member(campaign.organization, "max", Role.AGENT))
    page = text_of(client, at(campaign))
    assert at(campaign, "start") not in page
    assert at(campaign, "edit") not in page
    assert client.get(reverse("campaigns:new")).status_code == 404
    for name in ("edit", "delete", "start", "cancel"):
        assert client.get(at(campaign, name)).status_code == 403, name
    for name in ("edit", "delete", "test", "start", "unschedule", "pause", "resume", "cancel"):
        assert client.post(at(campaign, name), {"seen": campaign.fingerprint}).status_code == 403, name
    assert (state_of(campaign), EmailMessage.objects.count(), LogEntry.objects.count()) == ("draft", 0, 0)


def test_other_organizations_campaigns_and_leads_do_not_exist() -> None:
    campaign, other = planned(1), make_organization("other")
    message, theirs = EmailMessage.objects.get(), make_lead(other, name="Grace Hopper", email="grace@other.example")
    owner = signed_in(make_member(other, "olga", Role.OWNER))
    for name in ("campaign", "progress", "preview", "edit", "delete", "start", "cancel", "mails"):
        assert owner.get(at(campaign, name)).status_code == 404, name
    for name in ("edit", "delete", "test", "start", "unschedule", "pause", "resume", "cancel"):
        assert owner.post(at(campaign, name), {"seen": campaign.fingerprint}).status_code == 404, name
    assert owner.post(at(campaign, "again", message.pk)).status_code == 404
    assert "Spring" not in text_of(owner, LIST)

    own = signed_in(manager_of(campaign))
    for name in ("campaign", "preview"):
        assert own.get(f"{at(campaign, name)}?lead={theirs.pk}").status_code == 404
        assert own.get(f"{at(campaign, name)}?lead=nonsense").status_code == 404
    assert own.post(at(campaign, "test"), {"lead": str(theirs.pk)}).status_code == 404
    assert "Grace" not in text_of(own, f"{at(campaign)}?q=grace")
    assert text_of(own, f"{at(campaign)}?q=%00grace%00x")
    elsewhere = Campaign.objects.create(organization=other, name="x", subject="x", text="x")
    assert own.post(at(elsewhere, "again", message.pk)).status_code == 404
    assert own.post(reverse("campaigns:new"), {"organization": str(other.pk), "name": "x"}).status_code == 400
    assert state_of(campaign) == "sending"
    assert Client().get(LIST)["Location"].startswith(reverse("login"))


def test_only_one_of_two_tabs_starts_it(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(2)
    client = signed_in(manager_of(campaign))
    pages = [text_of(client, at(campaign, "start")) for _tab in range(2)]
    assert all(campaign.fingerprint in page for page in pages)
    client.post(at(campaign, "start"), {"seen": campaign.fingerprint})
    answer = client.post(at(campaign, "start"), {"seen": campaign.fingerprint}, follow=True)
    assert "was started before" in answer.content.decode()
    jobs_runner.run()
    assert states(campaign) == {"recorded": 2}


@pytest.mark.django_db(transaction=True)
def test_starts_at_the_same_moment_are_one_start(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(2)
    ready, begun = threading.Barrier(4), []

    def begin() -> None:
        try:
            ready.wait(20)
            begun.append(services.send_campaign(campaign.pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=begin) for _one in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(begun) == 4
    assert sum(handle is not None for handle in begun) == 1
    jobs_runner.run(until=timedelta(minutes=2))
    assert states(campaign) == {"recorded": 2}


def test_a_draft_that_was_changed_in_another_tab_is_not_sent_unseen() -> None:
    campaign = make_campaign(1)
    client = signed_in(manager_of(campaign))
    seen = campaign.fingerprint
    client.post(at(campaign, "edit"), {"name": "Spring", "subject": "Other", "text": "Other"})
    for given in ({"seen": seen}, {}):
        answer = client.post(at(campaign, "start"), given, follow=True)
        assert "was changed since you looked" in answer.content.decode()
    assert state_of(campaign) == "draft"


def test_text_with_a_field_that_there_is_not_is_refused_by_name() -> None:
    campaign = make_campaign(1)
    client = signed_in(manager_of(campaign))
    answer = client.post(at(campaign, "edit"), {"name": "Spring", "subject": "Dear {nmae}", "text": "Hi {name}"})
    assert answer.status_code == 400
    assert "{nmae} cannot be inserted. These can: {name}, {first_name}" in answer.content.decode()
    form = {"name": "Spring", "subject": "Hi", "text": "Hi", "statuses": ["nonsense"]}
    assert client.post(at(campaign, "edit"), form).status_code == 400


def test_hostile_names_and_texts_are_shown_as_they_are_written() -> None:
    acme = make_organization()
    lead = willing(acme, name=f"{SCRIPT}\r\nBcc: evil@example.com", email="eve@acme.example", company="{name}")
    draft = {"name": SCRIPT, "subject": f"{SCRIPT} {{name}}", "text": f"{SCRIPT} {{name}} {{company}}"}
    campaign = Campaign.objects.create(organization=acme, **draft)
    client = signed_in(manager_of(campaign))
    for address in (at(campaign), f"{at(campaign)}?q={SCRIPT}", at(campaign, "start"), at(campaign, "edit"), LIST):
        assert SCRIPT not in text_of(client, address), address
    shown = client.get(f"{at(campaign, 'preview')}?lead={lead.pk}")
    assert SCRIPT not in shown.content.decode()
    # what stands in a value is no field
    assert "{name}" in shown.content.decode()
    assert shown["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert shown["X-Frame-Options"] == "SAMEORIGIN"
    assert "<iframe" in text_of(client, at(campaign))
    client.post(at(campaign, "test"), {"lead": str(lead.pk)})
    message = EmailMessage.objects.get()
    send_campaign_email.call(message.pk)
    assert "\n" not in mail.outbox[0].subject
    assert mail.outbox[0].recipients() == ["mia@example.org"]


def test_preview_says_why_a_lead_does_not_get_it() -> None:
    campaign = make_campaign(1, audience={"statuses": ["new"]})
    acme, now = campaign.organization, timezone.now()
    others = {
        "has not agreed": make_lead(acme, email="a@acme.example"),
        "no email address": make_lead(acme, email="", name="Phone"),
        "has unsubscribed": willing(acme, email="b@acme.example", unsubscribed_at=now),
        "not among those": willing(acme, email="c@acme.example", status="won"),
    }
    client = signed_in(manager_of(campaign))
    for reason, lead in others.items():
        assert reason in text_of(client, f"{at(campaign)}?lead={lead.pk}"), reason
    assert "will not get it" not in text_of(client, at(campaign))


def test_reach_counts_each_lead_once_with_the_reason() -> None:
    campaign = make_campaign(4)
    acme, now = campaign.organization, timezone.now()
    make_lead(acme, email="a@acme.example")
    make_lead(acme, email="")
    make_lead(acme, email="", unsubscribed_at=now)
    willing(acme, email="b@acme.example", unsubscribed_at=now)
    erase_lead(make_lead(acme, email="e@acme.example").pk)
    willing(make_organization("other"), email="lead9@acme.example")
    for number, reason in ((0, "bounced"), (1, "complained"), (1, "bounced")):
        lead = Lead.objects.get(email=f"lead{number}@acme.example")
        row = EmailMessage.objects.create(kind="campaign", key=f"{lead.pk}{reason}", to=lead.email, organization=acme)
        suppress(row, Suppression.Reason(reason), "resend")
    reach = reach_of(campaign)
    assert (reach.gets, reach.no_consent, reach.unsubscribed, reach.no_address) == (2, 1, 1, 2)
    assert reach.bounced + reach.complained == 2
    assert reach.others == 6
    campaign.audience = {"statuses": ["won"]}
    assert (reach_of(campaign).gets, reach_of(campaign).others) == (0, 0)


def test_progress_adds_up_and_is_sent_anew_only_when_it_changed(jobs_runner: JobsRunner) -> None:
    campaign = planned(6)
    client = signed_in(manager_of(campaign))
    ids = list(EmailMessage.objects.values_list("pk", flat=True))
    for pk, state in zip(ids, ("sent", "failed", "deferred", "unclear", "skipped"), strict=False):
        EmailMessage.objects.filter(pk=pk).update(state=state)
    page = text_of(client, at(campaign))
    assert f'data-live="{at(campaign, "progress")}"' in page
    first = client.get(at(campaign, "progress"))
    assert escape(first["ETag"]) in page
    assert client.get(at(campaign, "progress"), headers={"If-None-Match": first["ETag"]}).status_code == 304
    services.pause_campaign(campaign.pk)
    changed = client.get(at(campaign, "progress"), headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert at(campaign, "resume") in changed.content.decode()
    EmailMessage.objects.filter(pk=ids[-1]).update(state="sent")
    again = client.get(at(campaign, "progress"), headers={"If-None-Match": changed["ETag"]})
    assert again.status_code == 200


def test_pause_resume_and_cancel_by_their_buttons() -> None:
    campaign = planned(2)
    client = signed_in(manager_of(campaign))
    assert client.get(at(campaign, "pause")).status_code == 405
    for name, state in (("pause", "paused"), ("resume", "sending"), ("cancel", "cancelled")):
        client.post(at(campaign, name))
        assert state_of(campaign) == state
        answer = client.post(at(campaign, name), follow=True)
        assert "Nothing was changed" in answer.content.decode()
    assert LogEntry.objects.count() == 3


def test_campaign_is_scheduled_by_the_persons_clock_and_taken_back() -> None:
    campaign = make_campaign(1)
    person = manager_of(campaign)
    User.objects.filter(pk=person.pk).update(time_zone="America/Sao_Paulo")
    client = signed_in(person)
    form = {"seen": campaign.fingerprint, "later": "yes"}
    for wrong in ("", "soon", "2001-01-01T10:00", "2099-01-01T10:00"):
        assert client.post(at(campaign, "start"), {**form, "at": wrong}).status_code == 400, wrong
    day = (timezone.now() + timedelta(days=3)).date()
    client.post(at(campaign, "start"), {**form, "at": f"{day}T09:00"})
    assert state_of(campaign) == "scheduled"
    assert campaign.starts_at is not None
    assert campaign.starts_at.isoformat() == f"{day}T12:00:00+00:00"
    assert client.get(at(campaign, "edit"))["Location"] == campaign.get_absolute_url()
    client.post(at(campaign, "unschedule"))
    assert state_of(campaign) == "draft"


def test_failed_mails_are_listed_with_their_reason_and_sent_again(jobs_runner: JobsRunner) -> None:
    campaign = planned(3)
    jobs_runner.run(until=timedelta(minutes=2))
    refused, unclear, sent = EmailMessage.objects.order_by("to")
    EmailMessage.objects.filter(pk=refused.pk).update(state=EffectState.REFUSED, error=f"550 {SCRIPT}")
    EmailMessage.objects.filter(pk=unclear.pk).update(state=EffectState.UNCLEAR, error="no answer")
    client = signed_in(manager_of(campaign))
    page = text_of(client, at(campaign, "mails"))
    assert refused.to in page
    assert "550 &lt;script&gt;" in page
    assert unclear.to not in page
    assert "no answer" in text_of(client, f"{at(campaign, 'mails')}?show=unclear")
    assert "the lead may get it twice" in text_of(client, at(campaign, "again", unclear.pk))
    client.post(at(campaign, "again", refused.pk))
    EmailMessage.objects.filter(pk=sent.pk).update(state=EffectState.SENT)
    answer = client.post(at(campaign, "again", sent.pk), follow=True)
    assert "cannot be sent again" in answer.content.decode()
    jobs_runner.run(until=timedelta(minutes=2))
    refused.refresh_from_db()
    assert refused.state == EffectState.RECORDED
    agent = signed_in(make_member(campaign.organization, "max", Role.AGENT))
    assert agent.post(at(campaign, "again", unclear.pk)).status_code == 403
    assert at(campaign, "again", unclear.pk) not in text_of(agent, f"{at(campaign, 'mails')}?show=unclear")


def test_draft_is_deleted_once_confirmed_and_nothing_else() -> None:
    campaign = make_campaign(1)
    client = signed_in(manager_of(campaign))
    text_of(client, at(campaign, "delete"))
    assert Campaign.objects.exists()
    services.send_campaign(campaign.pk)
    client.post(at(campaign, "delete"))
    assert Campaign.objects.exists()
    Campaign.objects.update(state="draft")
    client.post(at(campaign, "delete"))
    assert not Campaign.objects.exists()


def test_pages_ask_the_same_number_of_questions_however_many_rows_there_are(
    django_assert_max_num_queries: Any,
) -> None:
    campaign = planned(30)
    for number in range(20):
        Campaign.objects.create(
            organization=campaign.organization, name=f"c{number}", subject="s", text="t", state="sending"
        )
    EmailMessage.objects.update(state=EffectState.FAILED)
    client = signed_in(manager_of(campaign))
    with django_assert_max_num_queries(14):
        client.get(LIST)
    with django_assert_max_num_queries(14):
        client.get(at(campaign, "mails"))
    with django_assert_max_num_queries(24):
        client.get(at(campaign))
