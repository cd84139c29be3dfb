"""A lead's way from its submission to the last effect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Role
from emails.models import EmailMessage
from jobs import jobs_about
from jobs.history.lookup import find_task
from jobs.history.providers import calls_by_provider
from jobs.testing import JobsRunner
from leads.enrichment import Finding, Question
from leads.models import Channel, CrmDelivery, EffectState, Lead, SubmissionState
from leads.services import add_lead, assign_lead, change_lead_status, receive
from leads.tasks import calculate_lead_score, enrich_lead_data, sync_to_crm
from notifications.models import Notification

from .people import make_lead, make_member, make_organization

pytestmark = pytest.mark.django_db

BODY = '{"name": "Ada", "email": "ada@analytical.example", "phone": "+442071838750", "consent": true}'


def test_api_lead_starts_all_its_jobs(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    make_member(organization, "mia", Role.MANAGER)
    submission = receive(organization, Channel.API, BODY)

    assert submission.state == SubmissionState.PROCESSED
    assert sorted(handle.job.task for handle in jobs_runner.enqueued()) == [
        "emails.send_follow_up",
        "emails.send_lead_notification",
        "emails.send_submission_confirmation",
        "leads.calculate_lead_score",
        "leads.enrich_lead_data",
        "leads.process_submission",
        "notifications.create_notification",
    ]


def test_new_lead_is_scored_at_once_enriched_in_ten_seconds_and_followed_up_in_three_days(
    jobs_runner: JobsRunner,
) -> None:
    lead = add_lead(Lead(organization=make_organization(), name="Ada", email="ada@analytical.example"))
    now = timezone.now()
    due = {job.task: round((job.ready_at - now).total_seconds()) for job in jobs_about(lead)}
    assert due["leads.calculate_lead_score"] <= 0
    assert 9 <= due["leads.enrich_lead_data"] <= 10
    assert 3 * 86_400 - 2 <= due["emails.send_follow_up"] <= 3 * 86_400
    assert jobs_about(lead).get(task="leads.enrich_lead_data").priority == 5


def test_flow_ends_with_score_enrichment_delivery_mail_and_notification(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    manager = make_member(organization, "mia", Role.MANAGER)
    receive(organization, Channel.API, BODY)
    started = jobs_runner.run(until=timedelta(minutes=1))

    lead = Lead.objects.get()
    assert lead.company == "Analytical"
    assert lead.enrichment["country"]["value"] == "GB"
    assert (lead.score or 0) > 0
    assert {handle.state for handle in started} == {"completed"}
    delivery = CrmDelivery.objects.get(lead=lead, state=EffectState.RECORDED, lead_version=lead.version)
    assert delivery.target == "local record"
    assert delivery.payload["data"]["score"] == lead.score
    assert {message.to[0] for message in mail.outbox} == {manager.email, "ada@analytical.example"}
    assert Notification.objects.get(user=manager).kind == Notification.Kind.URGENT


def test_score_is_synced_again_after_the_enrichment(jobs_runner: JobsRunner) -> None:
    lead = add_lead(Lead(organization=make_organization(), name="Ada", email="ada@analytical.example"))
    jobs_runner.run()
    assert CrmDelivery.objects.filter(lead=lead, state=EffectState.RECORDED).count() == 1
    jobs_runner.run(until=timedelta(minutes=1))
    sent = CrmDelivery.objects.filter(lead=lead, state=EffectState.RECORDED).order_by("lead_version")
    assert sent.count() == 2
    assert sent[1].payload["data"]["enrichment"]["free_mail"] is False


def test_each_job_about_a_lead_is_listed_with_the_lead(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    make_member(organization, "mia", Role.MANAGER)
    receive(organization, Channel.API, BODY)
    jobs_runner.run(until=timedelta(minutes=1))
    everything = {handle.id for handle in jobs_runner.enqueued() if handle.job.task != "leads.process_submission"}
    assert {job.id for job in jobs_about(Lead.objects.get())} == everything


def test_running_every_job_twice_changes_nothing(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    make_member(organization, "mia", Role.MANAGER)
    receive(organization, Channel.API, BODY)
    jobs_runner.run(until=timedelta(minutes=1))

    def effects() -> tuple[object, ...]:
        return (
            len(mail.outbox),
            Notification.objects.count(),
            CrmDelivery.objects.filter(state=EffectState.RECORDED).count(),
            Lead.objects.values_list("version", "score").get(),
            EmailMessage.objects.values_list("tries").count(),
        )

    before, jobs = effects(), jobs_runner.enqueued()
    for handle in jobs:
        if handle.job.task != "emails.send_follow_up":
            find_task(handle.job.task).call(*handle.args, **handle.kwargs)
    assert effects() == before
    assert len(jobs_runner.enqueued()) == len(jobs)


def test_job_ends_quietly_when_the_lead_is_gone(jobs_runner: JobsRunner) -> None:
    lead = add_lead(Lead(organization=make_organization(), name="Ada", email="ada@analytical.example"))
    lead.delete()
    started = jobs_runner.run(include_scheduled=True)
    assert {handle.state for handle in started} == {"completed"}
    assert len(started) == 3


def test_job_does_not_touch_a_lead_of_another_organization(jobs_runner: JobsRunner) -> None:
    lead = make_lead(make_organization("acme"))
    other = make_organization("other")
    for task in (calculate_lead_score, enrich_lead_data, sync_to_crm):
        assert task.call(lead.id, other.id) == {"outcome": "the lead is gone"}
    lead.refresh_from_db()
    assert (lead.score, lead.enrichment, lead.version) == (None, {}, 1)


def test_status_change_scores_and_syncs(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    lead = make_lead(organization)
    change_lead_status(lead.id, organization.id, "qualified")
    tasks = sorted(job.task for job in jobs_about(lead))
    assert tasks == ["leads.calculate_lead_score", "leads.sync_to_crm"]
    jobs_runner.run()
    lead.refresh_from_db()
    assert {"rule": "status", "points": 15} in lead.score_reasons
    newest = CrmDelivery.objects.filter(state=EffectState.RECORDED).order_by("-lead_version").first()
    assert newest is not None
    assert newest.payload["data"]["status"] == "qualified"


def test_assigning_tells_the_assignee_and_nobody_else(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    make_member(organization, "mia", Role.MANAGER)
    member = make_member(organization, "max")
    lead = make_lead(organization)
    assign_lead(lead.id, organization.id, member.pk)
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [[member.email]]
    assert [notification.user_id for notification in Notification.objects.all()] == [member.pk]


def test_new_lead_with_an_assignee_is_not_told_to_the_managers(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    make_member(organization, "mia", Role.MANAGER)
    member = make_member(organization, "max")
    add_lead(Lead(organization=organization, name="Ada", email="ada@analytical.example", assignee=member))
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [[member.email]]
    assert [notification.user_id for notification in Notification.objects.all()] == [member.pk]


def test_notification_holds_no_personal_data(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    make_member(organization, "mia", Role.MANAGER)
    receive(organization, Channel.API, BODY)
    jobs_runner.run()
    for handle in jobs_runner.enqueued():
        # not "ada" in small letters: a random id may hold that
        assert "Ada" not in handle.job.message
        assert "ada@" not in handle.job.message
        assert "442071838750" not in handle.job.message
    notification = Notification.objects.get()
    assert "Ada" not in notification.title + notification.message


class Directory:
    """A service that knows every company."""

    name = "directory"

    def look_up(self, question: Question) -> list[Finding]:
        return [Finding("company", "Analytical Engines", "register")]


def test_calls_of_an_enrichment_service_are_counted_and_what_is_found_in_the_house_is_no_call(settings: Any) -> None:
    lead = make_lead(make_organization())
    enrich_lead_data.call(lead.id, lead.organization_id)
    assert calls_by_provider() == {}
    settings.ENRICHMENT_PROVIDER = f"{__name__}.Directory"
    enrich_lead_data.call(lead.id, lead.organization_id)
    assert calls_by_provider()["enrichment"].by_outcome == {"ok": 1}
