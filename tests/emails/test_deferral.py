"""A mail that the other side does not take now: tried again for a day, ever more rarely, and it holds up nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from emails import services
from emails.deferral import pause_before
from emails.models import Campaign, EmailMessage
from emails.tasks import send_bulk_email
from emails.transport.connections import held_connections
from jobs import JobHandle
from jobs.broker import get_broker
from jobs.models import Job, QueueState
from jobs.testing import JobsRunner
from leads.models import EffectState

from .mail_server import Behaviour, MailServer, use_mail_server
from .provider_server import Answer, ProviderServer, use_provider
from .test_emails import make_campaign

pytestmark = pytest.mark.django_db

GREYLISTED = "450 4.2.0 greylisted, try again in 5 minutes"


def tries_of(asked: float | None, until: float = 3 * 86_400) -> list[float]:
    """When a mail is tried, in seconds since the first try, that is never taken."""
    tries = [0.0]
    while tries[-1] < until:
        pause = pause_before(timedelta(seconds=tries[-1]), len(tries), asked)
        if pause is None:
            return tries
        tries.append(tries[-1] + pause)
    raise AssertionError("there is no end")


@pytest.mark.parametrize("asked", [None, 1.0, 30.0, 600.0, 86_400.0])
def test_pauses_grow_keep_to_what_was_asked_and_end_after_a_day_within_the_starts_of_a_job(
    asked: float | None,
) -> None:
    tries = tries_of(asked)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == sorted(pauses)
    assert min(pauses) == (asked or 300)
    assert max(pauses) <= max(7_200, asked or 0)
    assert 86_400 <= tries[-1] <= 86_400 + max(7_200, asked or 0)
    # those of the queue's own policy come first, and a job has a hundred
    assert len(tries) < 90


def time_passes(seconds: float) -> None:
    """For the mails; their jobs are run ahead of their time."""
    for message in EmailMessage.objects.exclude(offered_at=None):
        message.offered_at -= timedelta(seconds=seconds)
        message.save(update_fields=["offered_at"])


def wait_for_next_try(handle: JobHandle, jobs_runner: JobsRunner) -> float:
    """Let the mail be tried once more; returns the seconds that this would have taken."""
    row = Job.objects.get(pk=handle.id)
    pause = (row.ready_at - timezone.now()).total_seconds()
    time_passes(pause)
    QueueState.objects.update(wait_until=None)
    assert get_broker().promote("email", handle.id)
    jobs_runner.run()
    return pause


def a_mail(to: str) -> tuple[JobHandle, EmailMessage]:
    handle = services.send_welcome_email(to)
    assert handle is not None
    return handle, EmailMessage.objects.get(to=to)


def test_mail_to_a_server_that_greylists_goes_out_once_it_takes_it(jobs_runner: JobsRunner, settings: Any) -> None:
    refuses = ["mia@example.org"]
    with MailServer(
        Behaviour(faults=lambda step, to: GREYLISTED if step == "rcpt" and to in refuses else None)
    ) as server:
        use_mail_server(settings, server.port)
        handle, message = a_mail("mia@example.org")
        jobs_runner.run(until=timedelta(minutes=4))
        message.refresh_from_db()
        assert (handle.state, message.state, message.tries) == ("queued", EffectState.DEFERRED, 3)
        assert "greylisted" in message.error
        # others go
        _, other = a_mail("ada@example.org")
        jobs_runner.run()
        other.refresh_from_db()
        assert other.state == EffectState.SENT
        refuses.clear()
        jobs_runner.run(until=timedelta(minutes=6))
        message.refresh_from_db()
        assert (handle.state, message.state, message.tries) == ("completed", EffectState.SENT, 4)
        assert [kept.to for kept in server.kept] == ["ada@example.org", "mia@example.org"]


def test_mail_that_is_not_taken_for_a_day_is_given_up(jobs_runner: JobsRunner, settings: Any) -> None:
    with MailServer(Behaviour(faults=lambda step, to: GREYLISTED if step == "rcpt" else None)) as server:
        use_mail_server(settings, server.port)
        handle, message = a_mail("mia@example.org")
        jobs_runner.run(until=timedelta(minutes=4))
        time_passes(12 * 3_600)
        jobs_runner.run(until=timedelta(minutes=6))
        assert handle.state == "queued"
        time_passes(12 * 3_600)
        jobs_runner.run(until=timedelta(hours=3))
    message.refresh_from_db()
    assert (handle.state, message.state, message.tries) == ("failed", EffectState.FAILED, 5)
    assert "greylisted" in message.error


@pytest.fixture
def provider(settings: Any) -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        use_provider(settings, "resend", server.url)
        yield server
        held_connections.close()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(502),
        Answer(503, headers={"Retry-After": "2"}),
        Answer(429, headers={"Retry-After": "1"}),
    ],
    ids=["500", "502", "503 that names a time", "429 that names a time"],
)
def test_mail_outlasts_a_service_that_answers_so_for_hours(
    provider: ProviderServer, jobs_runner: JobsRunner, answer: Answer
) -> None:
    provider.fault = lambda number: answer
    handle, message = a_mail("mia@example.org")
    jobs_runner.run()
    passed = 0.0
    while passed < 3 * 3_600:
        passed += wait_for_next_try(handle, jobs_runner)
    assert handle.state == "queued"
    assert len(provider.requests) < 50
    provider.fault = lambda number: None
    wait_for_next_try(handle, jobs_runner)
    message.refresh_from_db()
    assert (handle.state, message.state) == ("completed", EffectState.SENT)
    assert provider.sent[str(message.id)] == 1


def test_service_that_is_away_and_names_a_time_is_left_alone_for_it(
    provider: ProviderServer, jobs_runner: JobsRunner
) -> None:
    provider.fault = lambda number: Answer(503, headers={"Retry-After": "90"})
    a_mail("mia@example.org")
    a_mail("ada@example.org")
    jobs_runner.run()
    assert len(provider.requests) == 1


def test_campaign_ends_while_mails_are_deferred_and_sees_to_it_that_they_end_too(
    jobs_runner: JobsRunner, settings: Any
) -> None:
    campaign = make_campaign(4)
    services.send_campaign(campaign.id)
    send_bulk_email.call(campaign.id)
    refuses = {f"lead{number}@acme.example" for number in (1, 2, 3)}
    with MailServer(
        Behaviour(faults=lambda step, to: GREYLISTED if step == "rcpt" and to in refuses else None)
    ) as server:
        use_mail_server(settings, server.port)
        jobs_runner.run(until=timedelta(seconds=20))
        campaign.refresh_from_db()
        ended_at = campaign.ended_at
        assert (campaign.state, states()) == (Campaign.State.SENT, {"sent": 1, "deferred": 3})
        look = next(job for job in jobs_runner.enqueued(send_bulk_email) if job.state == "queued")
        refuses.remove("lead1@acme.example")
        cancelled = EmailMessage.objects.get(to="lead2@acme.example")
        assert JobHandle(cancelled.job_id).cancel() == "cancelled"
        for message in EmailMessage.objects.filter(state=EffectState.DEFERRED).exclude(pk=cancelled.pk):
            wait_for_next_try(JobHandle(message.job_id), jobs_runner)
        wait_for_next_try(look, jobs_runner)
        assert (states(), look.state) == ({"sent": 2, "skipped": 1, "deferred": 1}, "queued")
        refuses.clear()
        wait_for_next_try(JobHandle(EmailMessage.objects.get(state=EffectState.DEFERRED).job_id), jobs_runner)
        wait_for_next_try(look, jobs_runner)
    assert (states(), look.state) == ({"sent": 3, "skipped": 1}, "completed")
    campaign.refresh_from_db()
    assert (campaign.state, campaign.ended_at) == (Campaign.State.SENT, ended_at)


def states() -> dict[str, int]:
    return dict(Counter(EmailMessage.objects.values_list("state", flat=True)))


def test_mail_that_is_sent_again_by_a_person_has_another_day(jobs_runner: JobsRunner, settings: Any) -> None:
    with MailServer(Behaviour(faults=lambda step, to: GREYLISTED if step == "rcpt" else None)) as server:
        use_mail_server(settings, server.port)
        handle, message = a_mail("mia@example.org")
        time_passes(0)
        jobs_runner.run()
        time_passes(86_400)
        jobs_runner.run(until=timedelta(minutes=4))
        message.refresh_from_db()
        assert (handle.state, message.state) == ("failed", EffectState.FAILED)
        again = services.resend(message)
        assert again is not None
        jobs_runner.run(until=timedelta(minutes=4))
    message.refresh_from_db()
    assert (again.state, message.state) == ("queued", EffectState.DEFERRED)
    assert timezone.now() - message.offered_at < timedelta(hours=1)  # type: ignore[operator]
