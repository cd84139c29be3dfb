"""A campaign that is scheduled, paused, resumed and cancelled: what leaves, and what does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from emails import campaigns, services
from emails.models import Campaign, EmailMessage
from emails.progress import progress_of
from emails.tasks import send_bulk_email, send_campaign_email
from jobs import JobHandle, clock
from jobs.testing import JobsRunner
from leads.models import EffectState, Lead
from leads.services import erase_lead, unsubscribe_lead
from tests.each_broker import each_broker as each_broker
from tests.leads.people import make_organization

from .campaigning import make_campaign, planned, states, willing
from .mail_server import Behaviour, MailServer, use_mail_server

pytestmark = pytest.mark.django_db
GREYLISTED = "450 4.2.0 greylisted"


def resumed(campaign: Campaign, runner: JobsRunner) -> None:
    assert services.resume_campaign(campaign.pk)
    runner.run(until=timedelta(minutes=3))


def test_paused_campaign_sends_nothing_and_resumed_all_of_the_rest_once(
    jobs_runner: JobsRunner, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "CHUNK", 4)
    campaign = planned(10)
    with MailServer() as server:
        use_mail_server(settings, server.port)
        for message in EmailMessage.objects.all()[:2]:
            send_campaign_email.call(message.pk)
        assert services.pause_campaign(campaign.pk)
        assert not services.pause_campaign(campaign.pk)
        jobs_runner.run(until=timedelta(hours=3))
        assert len(server.kept) == 2
        campaign.refresh_from_db()
        assert campaign.state == Campaign.State.PAUSED
        resumed(campaign, jobs_runner)
        assert not services.resume_campaign(campaign.pk)
        assert sorted(kept.to for kept in server.kept) == sorted(f"lead{n}@acme.example" for n in range(10))
    campaign.refresh_from_db()
    assert (campaign.state, campaign.recipients, campaign.sent) == (Campaign.State.SENT, 10, 10)


@pytest.mark.django_db(transaction=True)
def test_each_broker_holds_a_paused_campaign_and_drops_a_cancelled_one(
    each_broker: str, jobs_runner: JobsRunner, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "CHUNK", 2)
    campaign, other = planned(5), planned(3, organization=make_organization("other"))
    with MailServer() as server:
        use_mail_server(settings, server.port)
        assert services.pause_campaign(campaign.pk)
        assert services.cancel_campaign(other.pk)
        jobs_runner.run()
        assert server.kept == []
        assert (states(campaign), states(other)) == ({"pending": 2}, {"skipped": 2})
        assert services.resume_campaign(campaign.pk)
        jobs_runner.run()
        assert sorted(kept.to for kept in server.kept) == [f"lead{number}@acme.example" for number in range(5)]
    campaign.refresh_from_db()
    assert (campaign.state, campaign.sent) == (Campaign.State.SENT, 5)


def test_pause_before_anything_is_planned_holds_the_plan_too(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(3)
    services.send_campaign(campaign.pk)
    services.pause_campaign(campaign.pk)
    jobs_runner.run(until=timedelta(hours=1))
    assert not EmailMessage.objects.exists()
    resumed(campaign, jobs_runner)
    assert states(campaign) == {"recorded": 3}


def test_pausing_and_resuming_while_a_part_runs_leaves_one_plan(
    jobs_runner: JobsRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "CHUNK", 2)
    campaign = make_campaign(5)
    services.send_campaign(campaign.pk)
    for _again in range(3):
        services.pause_campaign(campaign.pk)
        services.resume_campaign(campaign.pk)
    # the part of the first run, which was on its way all the time
    assert send_bulk_email.call(campaign.pk) == {"outcome": "a later run of the campaign stands for it"}
    handles = jobs_runner.run(until=timedelta(minutes=2))
    assert states(campaign) == {"recorded": 5}
    assert sum(handle.job.task == "emails.send_campaign_email" for handle in handles) == 5


def test_mails_that_wait_for_another_try_are_held_as_well(jobs_runner: JobsRunner, settings: Any) -> None:
    campaign = planned(3)
    late = {"lead0@acme.example", "lead1@acme.example"}
    faults = Behaviour(faults=lambda step, to: GREYLISTED if step == "rcpt" and to in late else None)
    with MailServer(faults) as server:
        use_mail_server(settings, server.port)
        jobs_runner.run(until=timedelta(seconds=20))
        campaign.refresh_from_db()
        assert (campaign.state, states(campaign)) == (Campaign.State.SENT, {"deferred": 2, "sent": 1})
        assert services.pause_campaign(campaign.pk)
        late.clear()
        jobs_runner.run(until=timedelta(hours=12))
        assert states(campaign) == {"deferred": 2, "sent": 1}
        resumed(campaign, jobs_runner)
        assert (states(campaign), len(server.kept)) == ({"sent": 3}, 3)
    campaign.refresh_from_db()
    assert (campaign.state, campaign.sent) == (Campaign.State.SENT, 3)


@pytest.mark.parametrize("stop", [services.pause_campaign, services.cancel_campaign])
def test_mail_whose_worker_was_killed_is_not_tried_again_in_a_stopped_campaign(
    jobs_runner: JobsRunner, settings: Any, stop: Any
) -> None:
    campaign = planned(1)
    message = EmailMessage.objects.get()
    EmailMessage.objects.update(state=EffectState.SENDING, claimed_by=message.job_id, claimed_at=timezone.now())
    stop(campaign.pk)
    with MailServer() as server:
        use_mail_server(settings, server.port)
        jobs_runner.run(until=timedelta(minutes=2))
        assert (server.kept, states(campaign)) == ([], {"unclear": 1})
        if stop is services.pause_campaign:
            # nobody but a person knows whether it arrived
            resumed(campaign, jobs_runner)
            assert (server.kept, states(campaign)) == ([], {"unclear": 1})


def test_cancelled_campaign_never_sends_the_rest(
    jobs_runner: JobsRunner, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "CHUNK", 4)
    campaign = planned(10)
    with MailServer() as server:
        use_mail_server(settings, server.port)
        first = EmailMessage.objects.order_by("pk")[:1].get()
        send_campaign_email.call(first.pk)
        assert services.cancel_campaign(campaign.pk)
        handles = jobs_runner.run(until=timedelta(hours=3))
        assert len(server.kept) == 1
    assert not services.cancel_campaign(campaign.pk)
    assert not services.resume_campaign(campaign.pk)
    assert states(campaign) == {"sent": 1, "skipped": 3}
    assert {handle.state for handle in handles} <= {"completed", "cancelled"}
    campaign.refresh_from_db()
    assert (campaign.state, campaign.sent) == (Campaign.State.CANCELLED, 1)
    progress = progress_of(campaign)
    assert (progress.total, progress.sent, progress.skipped, progress.waiting) == (10, 1, 9, 0)


def test_mails_of_a_cancelled_campaign_are_not_sent_again(jobs_runner: JobsRunner) -> None:
    campaign = planned(1)
    message = EmailMessage.objects.get()
    EmailMessage.objects.update(state=EffectState.FAILED)
    services.cancel_campaign(campaign.pk)
    message.refresh_from_db()
    assert not EmailMessage.objects.get().can_be_repeated
    assert services.resend(message) is None
    JobHandle(message.job_id).cancel()
    jobs_runner.run(until=timedelta(minutes=2))
    assert states(campaign) == {"failed": 1}


def test_who_is_erased_or_unsubscribes_in_a_pause_gets_nothing(jobs_runner: JobsRunner, settings: Any) -> None:
    campaign = planned(3)
    services.pause_campaign(campaign.pk)
    jobs_runner.run()
    erase_lead(Lead.objects.get(email="lead0@acme.example").pk)
    unsubscribe_lead(Lead.objects.get(email="lead1@acme.example").pk)
    with MailServer() as server:
        use_mail_server(settings, server.port)
        resumed(campaign, jobs_runner)
        assert [kept.to for kept in server.kept] == ["lead2@acme.example"]
    assert states(campaign) == {"skipped": 2, "sent": 1}


def test_campaign_begins_at_its_time_and_no_sooner(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(2)
    at = timezone.now() + timedelta(hours=2)
    assert services.send_campaign(campaign.pk, at=at) is not None
    assert services.send_campaign(campaign.pk) is None
    jobs_runner.run(until=timedelta(hours=1))
    assert not EmailMessage.objects.exists()
    willing(campaign.organization, email="late@acme.example")
    Campaign.objects.update(starts_at=timezone.now() - timedelta(seconds=1))
    jobs_runner.run(until=timedelta(hours=3))
    campaign.refresh_from_db()
    assert (campaign.state, campaign.sent, states(campaign)) == (Campaign.State.SENT, 3, {"recorded": 3})


def test_unscheduled_campaign_does_not_begin_and_can_be_edited_and_sent(jobs_runner: JobsRunner) -> None:
    campaign = make_campaign(2)
    services.send_campaign(campaign.pk, at=timezone.now() + timedelta(hours=2))
    assert services.unschedule_campaign(campaign.pk)
    assert not services.unschedule_campaign(campaign.pk)
    Campaign.objects.update(starts_at=timezone.now() - timedelta(seconds=1))
    jobs_runner.run(until=timedelta(hours=3))
    campaign.refresh_from_db()
    assert (campaign.state, EmailMessage.objects.count()) == (Campaign.State.DRAFT, 0)
    campaign.subject = "Other news"
    assert services.edit_campaign(campaign)
    services.send_campaign(campaign.pk)
    jobs_runner.run()
    assert not services.edit_campaign(campaign)
    assert states(campaign) == {"recorded": 2}
    assert EmailMessage.objects.filter(subject="Other news").count() == 2


def test_what_was_changed_since_it_was_read_is_not_sent() -> None:
    campaign = make_campaign(1)
    seen = campaign.fingerprint
    campaign.text = "Something else"
    services.edit_campaign(campaign)
    assert services.send_campaign(campaign.pk, as_seen=seen) is None
    assert services.send_campaign(campaign.pk, as_seen=campaign.fingerprint) is not None


def test_command_pauses_resumes_and_cancels(jobs_runner: JobsRunner, capsys: Any) -> None:
    campaign = make_campaign(2)
    call_command("send_campaign", str(campaign.pk))
    for option, state in (("--pause", "paused"), ("--resume", "sending"), ("--cancel", "cancelled")):
        call_command("send_campaign", str(campaign.pk), option)
        campaign.refresh_from_db()
        assert campaign.state == state
        with pytest.raises(CommandError, match="cannot be"):
            call_command("send_campaign", str(campaign.pk), option)
    jobs_runner.run(until=timedelta(minutes=2))
    assert not EmailMessage.objects.exists()


def test_a_mail_whose_campaign_is_resumed_while_it_is_about_to_be_held_goes(jobs_runner: JobsRunner) -> None:
    campaign = planned(1)
    services.pause_campaign(campaign.pk)
    message = EmailMessage.objects.select_related("campaign").get()
    assert message.job_id is not None
    services.resume_campaign(campaign.pk)
    assert campaigns.hold(message, message.job_id, recognises_repetition=True) is None
    message.refresh_from_db()
    assert message.job_id is not None


def test_cancelling_goes_on_behind_a_mail_whose_job_was_cleared_away() -> None:
    campaign = planned(4)
    for message in EmailMessage.objects.order_by("pk")[:2]:
        EmailMessage.objects.filter(pk=message.pk).update(job_id=clock.new_id())
    assert services.cancel_campaign(campaign.pk)
    campaign.refresh_from_db()
    assert send_bulk_email.call(campaign.pk, campaign.position, campaign.run)["outcome"] == "ended"
    assert states(campaign) == {"skipped": 4}
