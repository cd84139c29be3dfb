"""Mails: stated once, sent once, readable, in the reader's language, and stopped by one click."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Invitation, Membership
from accounts.services import add_member
from emails import campaigns, intents, services
from emails.composing import compose, lead_of_token, unsubscribe_token
from emails.models import Campaign, EmailMessage
from emails.tasks import send_bulk_email, send_campaign_email, send_follow_up, send_follow_up_email, send_welcome
from jobs import JobHandle, retry
from jobs.models import Job
from jobs.testing import JobsRunner
from leads.consent import Agreement
from leads.models import Channel, ConsentPurpose, ConsentRecord, ConsentSource, EffectState, Lead
from leads.services import add_lead, add_note, change_lead_status, receive, unsubscribe_lead
from tests.leads.people import make_lead, make_member, make_organization, make_user
from tests.ports import free_port

from .mail_server import KEEP_AND_DROP, Behaviour, MailServer, use_mail_server

pytestmark = pytest.mark.django_db

THREE_DAYS = timedelta(days=3, minutes=1)


def refusal_of(address: str) -> Callable[[str, str], str | None]:
    """A mail server's words at RCPT of this one address."""
    return lambda step, to: "550 5.1.1 no such user" if (step, to) == ("rcpt", address) else None


def willing(organization: Any, **fields: Any) -> Lead:
    return make_lead(organization, request_consent_at=timezone.now(), marketing_consent_at=timezone.now(), **fields)


def test_new_member_is_welcomed_once(jobs_runner: JobsRunner) -> None:
    organization, user = make_organization(), make_user("mia", first_name="Mia")
    add_member(organization, user)
    add_member(organization, user)
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [[user.email]]
    assert mail.outbox[0].subject == "Welcome to Acme"
    assert "Mia" in mail.outbox[0].body


def test_member_who_comes_back_is_not_welcomed_again(jobs_runner: JobsRunner) -> None:
    organization, user = make_organization(), make_user("mia")
    add_member(organization, user)
    Membership.objects.all().delete()
    add_member(organization, user)
    jobs_runner.assert_enqueued(send_welcome, times=1)


@pytest.mark.parametrize("how", ["removed", "inactive"])
def test_member_who_has_left_gets_no_mail_that_was_on_its_way(jobs_runner: JobsRunner, how: str) -> None:
    organization, user = make_organization(), make_user("mia")
    Membership.objects.create(organization=organization, user=user)
    services.send_lead_notification_email(user.email, lead=make_lead(organization), recipient_id=user.pk)
    if how == "removed":
        Membership.objects.all().delete()
    else:
        type(user).objects.update(is_active=False)
    jobs_runner.run()
    message = EmailMessage.objects.get()
    assert (mail.outbox, message.state) == ([], EffectState.SKIPPED)
    assert "no longer a member" in message.error


def test_helper_states_the_mail_and_its_job_in_one_transaction(jobs_runner: JobsRunner) -> None:
    handle = services.send_welcome_email("mia@example.org", name="Mia", organization_name="Acme")
    assert handle is not None
    message = EmailMessage.objects.get()
    assert (handle.args, message.state) == ([str(message.id)], EffectState.PENDING)


def test_mail_has_text_and_html_and_is_kept_as_sent(jobs_runner: JobsRunner) -> None:
    services.send_welcome_email("mia@example.org", name="<b>Mia</b>\nBcc: x@example.org", organization_name="A & B")
    jobs_runner.run()
    sent, row = mail.outbox[0], EmailMessage.objects.get()
    assert sent.subject == "Welcome to A & B"
    assert sent.alternatives[0][0] == row.html
    assert "&lt;b&gt;Mia&lt;/b&gt;" in row.html
    assert "<b>Mia</b>" in row.text
    assert (row.state, row.receipt) == (EffectState.RECORDED, sent.extra_headers["Message-ID"])


def test_line_break_in_a_name_makes_no_header(jobs_runner: JobsRunner) -> None:
    lead = make_lead(make_organization(), name="Ada\r\nBcc: victim@example.org")
    services.send_lead_notification_email("mia@example.org", lead=lead)
    jobs_runner.run()
    assert mail.outbox[0].subject == "New lead: Ada Bcc: victim@example.org"
    assert mail.outbox[0].recipients() == ["mia@example.org"]


def test_mail_that_was_sent_is_not_sent_by_a_second_run(jobs_runner: JobsRunner) -> None:
    services.send_welcome_email("mia@example.org")
    jobs_runner.run()
    assert send_welcome.call(EmailMessage.objects.get().id) == {"outcome": "recorded already"}
    assert len(mail.outbox) == 1


def test_mail_whose_server_is_away_is_tried_again(jobs_runner: JobsRunner, settings: Any) -> None:
    use_mail_server(settings, free_port())
    handle = services.send_welcome_email("mia@example.org")
    assert handle is not None
    jobs_runner.run()
    assert "ConnectionRefusedError" in EmailMessage.objects.get().error
    with MailServer() as server:
        use_mail_server(settings, server.port)
        jobs_runner.run(include_scheduled=True)
        row = EmailMessage.objects.get()
        assert (handle.state, len(server.kept), row.tries, row.state) == ("completed", 1, 2, EffectState.SENT)
        assert row.receipt == server.kept[0].message_id


def test_address_of_a_member_that_the_server_refuses_is_a_dead_letter_at_once(
    jobs_runner: JobsRunner, settings: Any
) -> None:
    with MailServer(Behaviour(faults=refusal_of("mia@example.org"))) as server:
        use_mail_server(settings, server.port)
        handle = services.send_welcome_email("mia@example.org")
        assert handle is not None
        jobs_runner.run()
        assert (handle.state, handle.attempt) == ("failed", 1)
        assert EmailMessage.objects.get().state == EffectState.REFUSED


def lose_the_answer(jobs_runner: JobsRunner, settings: Any, server: MailServer) -> tuple[JobHandle, EmailMessage]:
    """A mail that the server has, whose answer did not come back."""
    server.behaviour.faults = lambda step, to: KEEP_AND_DROP if step == "end" else None
    use_mail_server(settings, server.port)
    handle = services.send_welcome_email("mia@example.org", organization=make_organization())
    assert handle is not None
    jobs_runner.run(include_scheduled=True)
    server.behaviour.faults = lambda step, to: None
    return handle, EmailMessage.objects.get()


def test_mail_whose_answer_was_lost_is_sent_by_no_retry(
    jobs_runner: JobsRunner, settings: Any, admin_client: Client
) -> None:
    with MailServer() as server:
        handle, row = lose_the_answer(jobs_runner, settings, server)
        assert (row.state, handle.state, handle.attempt) == (EffectState.UNCLEAR, "failed", 1)
        retry(handle.id)
        jobs_runner.run()
        call_command("jobs", "retry", str(handle.id))
        jobs_runner.run()
        address = reverse("admin:jobs_job_changelist")
        admin_client.post(address, {"action": "retry_selected", "_selected_action": [str(handle.id)]})
        jobs_runner.run()
        row.refresh_from_db()
        assert (handle.job.run, handle.state, row.state, row.tries) == (4, "failed", EffectState.UNCLEAR, 1)
        assert "perhaps sent" in handle.error
        assert len(server.kept) == 1


def test_unclear_mail_is_sent_again_by_who_may_after_a_warning(
    jobs_runner: JobsRunner, settings: Any, client: Client
) -> None:
    with MailServer() as server:
        _handle, row = lose_the_answer(jobs_runner, settings, server)
        user = make_user("sam", is_staff=True)
        Membership.objects.create(organization=row.organization, user=user)
        user.user_permissions.add(Permission.objects.get(codename="view_emailmessage"))
        client.force_login(user)
        address = reverse("admin:emails_emailmessage_changelist")
        again = {"action": "send_again", "_selected_action": [str(row.pk)], "confirmed": "yes"}
        client.post(address, again)
        row.refresh_from_db()
        assert row.state == EffectState.UNCLEAR

        user.user_permissions.add(Permission.objects.get(codename="resend_emailmessage"))
        page = reverse("admin:emails_emailmessage_change", args=[row.pk])
        assert "send_again" in client.get(page).content.decode()
        asked = client.post(address, {name: again[name] for name in ("action", "_selected_action")})
        assert "may get it twice" in asked.content.decode()
        row.refresh_from_db()
        assert row.state == EffectState.UNCLEAR
        client.post(address, again)
        jobs_runner.run()
        row.refresh_from_db()
        assert (row.state, len(server.kept)) == (EffectState.SENT, 2)
        assert len({kept.message_id for kept in server.kept}) == 1
        assert "send_again" not in client.get(page).content.decode()


def test_mail_whose_worker_was_killed_is_unclear(jobs_runner: JobsRunner) -> None:
    handle = services.send_welcome_email("mia@example.org")
    assert handle is not None
    # as the worker that was killed left it
    EmailMessage.objects.update(state=EffectState.SENDING, claimed_by=handle.id)
    jobs_runner.run(include_scheduled=True)
    assert (EmailMessage.objects.get().state, handle.state, mail.outbox) == (EffectState.UNCLEAR, "failed", [])


def test_mail_that_is_perhaps_sent_is_not_called_unwanted(jobs_runner: JobsRunner) -> None:
    lead = willing(make_organization())
    send_follow_up.call(lead.id, lead.organization_id)
    row = EmailMessage.objects.get()
    EmailMessage.objects.update(state=EffectState.SENDING, claimed_by=row.job_id)
    unsubscribe_lead(lead.id)
    jobs_runner.run(queue="email")
    row.refresh_from_db()
    assert row.state == EffectState.UNCLEAR


@pytest.mark.parametrize("kind", EmailMessage.Kind)
def test_mail_of_every_kind_is_sent_again(jobs_runner: JobsRunner, settings: Any, kind: EmailMessage.Kind) -> None:
    lead = willing(make_organization())
    campaign = Campaign.objects.create(organization=lead.organization, name="c", subject="s", text="t")
    asked = ConsentRecord.objects.create(
        organization=lead.organization, lead=lead, purpose="marketing", act="asked", source="form"
    )
    person = make_member(lead.organization, "ada")
    invitation = Invitation.objects.create(organization=lead.organization, email=person.email)
    row = EmailMessage.objects.create(
        kind=kind,
        key=f"{invitation.pk}:{invitation.sent_at.isoformat()}",
        recipient=person if kind in {EmailMessage.Kind.PASSWORD_RESET, EmailMessage.Kind.DIGEST} else None,
        to=person.email,
        lead=lead,
        organization=lead.organization,
        campaign=campaign if kind == EmailMessage.Kind.CAMPAIGN else None,
        params={
            "reason": "created",
            "name": "Ada",
            "step": 1,
            "asked": [str(asked.pk)],
            "invitation": str(invitation.pk),
            "number": 1,
            "campaign": str(campaign.pk),
        },
        state=EffectState.FAILED,
    )
    assert services.resend(row) is not None
    jobs_runner.run()
    row.refresh_from_db()
    assert row.state == EffectState.RECORDED
    with MailServer() as server:  # now there is one
        use_mail_server(settings, server.port)
        handle = services.resend(row)
        assert handle is not None
        jobs_runner.run()
        row.refresh_from_db()
        assert (row.state, row.job_id, len(server.kept)) == (EffectState.SENT, handle.id, 1)
    assert services.resend(row) is None


def test_wrong_password_of_the_mail_server_is_a_dead_letter_that_a_retry_sends(
    jobs_runner: JobsRunner, settings: Any
) -> None:
    handle = services.send_welcome_email("mia@example.org")
    assert handle is not None
    with MailServer(Behaviour(extensions=("AUTH PLAIN",))) as server:
        use_mail_server(settings, server.port, username="mia", password="wrong")
        jobs_runner.run()
        assert (handle.state, handle.attempt, EmailMessage.objects.get().state) == ("failed", 1, EffectState.FAILED)
        use_mail_server(settings, server.port, username="", password="")
        retry(handle.id)
        jobs_runner.run()
        assert (handle.state, EmailMessage.objects.get().state) == ("completed", EffectState.SENT)


def test_confirmation_goes_only_to_who_agreed(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    receive(organization, Channel.FORM, "name=Ada&email=ada%40analytical.example&consent=on")
    receive(organization, Channel.FORM, "name=Bob&email=bob%40analytical.example")
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [["ada@analytical.example"]]


@pytest.mark.parametrize(
    ("locale", "expected"), [("pt-BR", "pt-br"), ("pt_BR", "pt-br"), ("en-GB", "en"), ("fr", "pt-br")]
)
def test_lead_is_written_to_in_its_language_else_in_the_organizations(locale: str, expected: str) -> None:
    lead = willing(make_organization(language="pt-br"), locale=locale)
    campaign = Campaign.objects.create(organization=lead.organization, name="c", subject="s", text="t")
    message = intents.state_campaign_mails(campaign, [lead])[0]
    assert message.language == expected
    assert f'<html lang="{expected}">' in compose(message).html


def test_follow_up_is_sent_to_a_lead_that_nobody_touched(jobs_runner: JobsRunner) -> None:
    lead = add_lead(
        Lead(organization=make_organization(), name="Ada", email="ada@analytical.example"),
        agreements=[Agreement(ConsentPurpose.REQUEST, ConsentSource.STAFF, "on the phone")],
    )
    jobs_runner.run(until=THREE_DAYS)
    assert [message.to for message in mail.outbox] == [["ada@analytical.example"]]
    assert send_follow_up.call(lead.id, lead.organization_id)["outcome"] == "stated already"
    jobs_runner.assert_enqueued(send_follow_up_email, times=1)


def test_follow_up_leaves_over_the_paced_queue(jobs_runner: JobsRunner) -> None:
    lead = willing(make_organization())
    assert send_follow_up.call(lead.id, lead.organization_id)["outcome"] == "stated"
    assert mail.outbox == []
    [handle] = jobs_runner.run(queue="email")
    assert (handle.job.queue, len(mail.outbox)) == ("email", 1)


def test_follow_up_ends_quietly_when_somebody_did_something() -> None:
    organization, person = make_organization(), make_user("mia")
    noted = willing(organization, email="a@acme.example")
    add_note(noted, "called", actor=person)
    moved = willing(organization, email="b@acme.example")
    change_lead_status(moved.id, organization.id, "contacted", actor=person)
    unwilling = make_lead(organization, email="c@acme.example")
    for lead in (noted, moved, unwilling):
        assert send_follow_up.call(lead.id, organization.id)["outcome"] != "stated"
    assert not EmailMessage.objects.exists()


def test_unasked_mail_can_be_stopped_with_one_post_and_not_by_looking(jobs_runner: JobsRunner, client: Client) -> None:
    lead = willing(make_organization())
    send_follow_up.call(lead.id, lead.organization_id)
    jobs_runner.run(queue="email")
    headers = mail.outbox[0].extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = headers["List-Unsubscribe"].strip("<>").split("localhost:8000")[1]
    assert client.get(path).status_code == 200
    lead.refresh_from_db()
    assert lead.unsubscribed_at is None

    strict = Client(enforce_csrf_checks=True)
    assert strict.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    lead.refresh_from_db()
    assert lead.unsubscribed_at is not None
    assert send_follow_up.call(lead.id, lead.organization_id, 2) == {"outcome": "the lead gets no mail"}


def test_one_click_follows_rfc_8058(jobs_runner: JobsRunner, settings: Any) -> None:
    settings.SITE_URL = "https://leads.example.org"
    message, _created = intents.state_follow_up(willing(make_organization()), 1)
    headers = compose(message).headers
    address = headers["List-Unsubscribe"].strip("<>")
    assert address.startswith("https://leads.example.org/mail/unsubscribe/")
    assert compose(message).headers == headers  # a repetition is the same mail
    path = address.removeprefix("https://leads.example.org")

    # as a mailbox provider does it: no cookie, no redirect, a form of one field in either encoding, perhaps twice
    mailbox = Client(enforce_csrf_checks=True)
    for encoded in (
        {"data": b"List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"},
        {"data": {"List-Unsubscribe": "One-Click"}},
    ):
        answer = mailbox.post(path, secure=True, **encoded)
        assert (answer.status_code, answer.cookies) == (200, {})
    for method in ("get", "head", "put", "delete"):
        assert getattr(mailbox, method)(path, secure=True).status_code in {200, 405}
    lead = Lead.objects.get()
    assert lead.unsubscribed_at is not None
    assert lead.activities.filter(kind="unsubscribed").count() == 1


def test_token_of_somebody_else_stops_nothing(client: Client) -> None:
    lead = willing(make_organization())
    token = unsubscribe_token(lead.id)
    assert lead_of_token(token) == lead.id
    assert client.post(f"/mail/unsubscribe/{token[:-2]}xx/").status_code == 404


def make_campaign(count: int) -> Campaign:
    organization = make_organization()
    for number in range(count):
        willing(organization, email=f"lead{number}@acme.example")
    make_lead(organization, email="unwilling@acme.example")
    return Campaign.objects.create(organization=organization, name="Spring", subject="News", text="<Hello>")


def test_campaign_reaches_each_willing_lead_once_a_job_a_mail(
    jobs_runner: JobsRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "CHUNK", 3)
    campaign = make_campaign(7)
    willing(make_organization("other"), email="other@acme.example")
    assert services.send_campaign(campaign.id) is not None
    assert services.send_campaign(campaign.id) is None
    started = jobs_runner.run()
    assert [handle.state for handle in started] == ["completed"] * (3 + 7)
    assert sorted(message.to[0] for message in mail.outbox) == [f"lead{number}@acme.example" for number in range(7)]
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.SENT
    assert "&lt;Hello&gt;" in EmailMessage.objects.first().html
    jobs = {handle.id for handle in started if handle.job.task == "emails.send_campaign_email"}
    assert set(EmailMessage.objects.values_list("job_id", flat=True)) == jobs


def test_chunk_of_a_campaign_that_runs_twice_states_nothing_twice(
    jobs_runner: JobsRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "CHUNK", 3)
    campaign = make_campaign(4)
    services.send_campaign(campaign.id)
    send_bulk_email.call(campaign.id)
    assert send_bulk_email.call(campaign.id) == {"outcome": "this part of the campaign is planned"}
    jobs_runner.run()
    jobs_runner.assert_enqueued(send_campaign_email, times=4)
    assert len(mail.outbox) == 4


def test_chunk_that_breaks_off_leaves_nothing_behind(jobs_runner: JobsRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = make_campaign(2)
    services.send_campaign(campaign.id)

    def broken(*args: Any) -> None:
        raise RuntimeError("the worker's last word")

    with monkeypatch.context() as patch:
        patch.setattr(campaigns.timezone, "now", broken)
        with pytest.raises(RuntimeError):
            send_bulk_email.call(campaign.id)
    assert not EmailMessage.objects.exists()
    jobs_runner.assert_enqueued(send_campaign_email, times=0)


def test_mails_of_a_campaign_go_behind_all_others(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(1)
    services.send_campaign(campaign.id)
    send_bulk_email.call(campaign.id)
    other = services.send_welcome_email("mia@example.org")
    jobs_runner.run(queue="email")
    assert other is not None
    assert [message.to[0] for message in mail.outbox] == ["mia@example.org", "lead0@acme.example"]


def test_mail_that_must_wait_holds_up_no_other_and_is_still_sent(jobs_runner: JobsRunner, settings: Any) -> None:
    campaign = make_campaign(4)
    services.send_campaign(campaign.id)
    asked: list[str] = []

    def third_mail(step: str, to: str) -> str | None:
        if step == "rcpt":
            asked.append(to)
        return "450 4.2.0 later" if step == "rcpt" and len(asked) == 3 else None

    with MailServer(Behaviour(faults=third_mail)) as server:
        use_mail_server(settings, server.port)
        jobs_runner.run()
        assert len(server.kept) == 3
        waiting = EmailMessage.objects.exclude(state=EffectState.SENT).get()
        assert (waiting.state, "450" in waiting.error) == (EffectState.PENDING, True)
        campaign.refresh_from_db()
        assert campaign.state == Campaign.State.SENDING
        jobs_runner.run(until=timedelta(seconds=5))
        assert sorted(kept.to for kept in server.kept) == [f"lead{number}@acme.example" for number in range(4)]
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.SENT


def test_campaign_ends_with_each_outcome_counted(jobs_runner: JobsRunner, settings: Any, admin_client: Client) -> None:
    campaign = make_campaign(6)
    services.send_campaign(campaign.id)
    send_bulk_email.call(campaign.id)
    unsubscribe_lead(Lead.objects.get(email="lead5@acme.example").id)
    at_rcpt = {
        "lead1@acme.example": "550 5.1.1 no such user",
        "lead2@acme.example": "450 4.2.0 later",
        "lead3@acme.example": "450 4.2.0 later",
    }
    answers = {("rcpt", to): reply for to, reply in at_rcpt.items()} | {("end", "lead4@acme.example"): KEEP_AND_DROP}
    with MailServer(Behaviour(faults=lambda step, to: answers.get((step, to)))) as server:
        use_mail_server(settings, server.port)
        jobs_runner.run(until=timedelta(minutes=2))
        assert sorted(kept.to for kept in server.kept) == ["lead0@acme.example", "lead4@acme.example"]
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.SENT
    counts = Counter(EmailMessage.objects.values_list("state", flat=True))
    assert counts == {"sent": 1, "refused": 1, "deferred": 2, "unclear": 1, "skipped": 1}
    for page in (
        admin_client.get(reverse("admin:emails_campaign_change", args=[campaign.pk])),
        admin_client.get(reverse("admin:emails_campaign_changelist")),
    ):
        content = page.content.decode()
        for text in ("sent: 1", "refused: 1", "deferred: 2", "unclear: perhaps sent: 1", "not sent on purpose: 1"):
            assert text in content


def test_campaign_ends_though_a_mails_job_was_cancelled_or_killed_its_workers(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(3)
    services.send_campaign(campaign.id)
    send_bulk_email.call(campaign.id)
    cancelled, killed, sent = EmailMessage.objects.order_by("to")
    assert JobHandle(cancelled.job_id).cancel() == "cancelled"
    # what is left of a worker that died while it was sending, for the fifth time
    EmailMessage.objects.filter(pk=killed.pk).update(state=EffectState.SENDING, claimed_by=killed.job_id)
    Job.objects.filter(pk=killed.job_id).update(state="failed")
    jobs_runner.run(until=timedelta(seconds=20))
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.SENDING
    jobs_runner.run(until=timedelta(minutes=2))
    for row in (cancelled, killed, sent, campaign):
        row.refresh_from_db()
    assert (cancelled.state, killed.state, sent.state) == ("skipped", "unclear", "recorded")
    assert campaign.state == Campaign.State.SENT


def test_campaign_to_nobody_ends_at_once(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(0)
    services.send_campaign(campaign.id)
    jobs_runner.run()
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.SENT


def test_refused_address_does_not_stop_the_campaign(jobs_runner: JobsRunner, settings: Any) -> None:
    campaign = make_campaign(3)
    services.send_campaign(campaign.id)
    with MailServer(Behaviour(faults=refusal_of("lead1@acme.example"))) as server:
        use_mail_server(settings, server.port)
        jobs_runner.run()
        assert len(server.kept) == 2
    assert EmailMessage.objects.get(to="lead1@acme.example").state == EffectState.REFUSED
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.SENT


def test_lead_that_unsubscribed_before_its_turn_gets_no_campaign_mail(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(1)
    lead = Lead.objects.get(marketing_consent_at__isnull=False)
    message = intents.state_campaign_mails(campaign, [lead])[0]
    unsubscribe_lead(lead.id)
    assert send_campaign_email.call(message.id) == {"outcome": "the lead gets no mail"}
    assert EmailMessage.objects.get().state == EffectState.SKIPPED


def test_campaign_waits_behind_mail_that_somebody_waits_for(jobs_runner: JobsRunner) -> None:
    handle = services.send_campaign(make_campaign(1).id)
    other = services.send_welcome_email("mia@example.org")
    assert handle is not None
    assert other is not None
    assert handle.job.priority > other.job.priority


def test_command_begins_a_campaign_once(jobs_runner: JobsRunner, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = make_campaign(1)
    call_command("send_campaign", str(campaign.id))
    assert "is being sent" in capsys.readouterr().out
    with pytest.raises(CommandError, match="begun before") as refused:
        call_command("send_campaign", str(campaign.id))
    assert refused.value.returncode == 1
    jobs_runner.assert_enqueued(send_bulk_email, times=1)


def test_campaign_is_sent_from_the_admin_by_who_may(client: Client, jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(1)
    user = make_user("sam", is_staff=True)
    Membership.objects.create(organization=campaign.organization, user=user)
    user.user_permissions.add(Permission.objects.get(codename="view_campaign"))
    client.force_login(user)
    address = reverse("admin:emails_campaign_changelist")
    send = {"action": "send", "_selected_action": [str(campaign.pk)]}
    client.post(address, send)
    jobs_runner.assert_nothing_enqueued()
    user.user_permissions.add(Permission.objects.get(codename="send_campaign"))
    client.post(address, send)
    jobs_runner.assert_enqueued(send_bulk_email, campaign.id, None)


def test_mail_is_readable_for_staff_and_its_html_cannot_run(admin_client: Client, jobs_runner: JobsRunner) -> None:
    services.send_welcome_email("mia@example.org", name="Mia", organization_name="Acme")
    jobs_runner.run()
    message = EmailMessage.objects.get()
    page = admin_client.get(reverse("admin:emails_emailmessage_change", args=[message.pk])).content.decode()
    assert "Welcome to Acme" in page
    assert "Hello Mia" in page
    html = admin_client.get(reverse("admin:emails_emailmessage_html", args=[message.pk]))
    assert "Hello Mia" in html.content.decode()
    assert html.headers["Content-Security-Policy"].startswith("sandbox;")


def test_mail_of_another_organization_is_hidden_from_staff(client: Client, jobs_runner: JobsRunner) -> None:
    services.send_welcome_email("mia@example.org", organization=make_organization())
    jobs_runner.run()
    user = make_user("sam", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_emailmessage"))
    client.force_login(user)
    message = EmailMessage.objects.get()
    assert client.get(reverse("admin:emails_emailmessage_html", args=[message.pk])).status_code == 404
