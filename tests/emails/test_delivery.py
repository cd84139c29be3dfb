"""A mail and its service: once in the service's ledger, whatever is lost on the way; never to a suppressed address."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from emails import services, suppression
from emails.models import EmailMessage, Suppression
from emails.tasks import send_welcome
from emails.transport.connections import held_connections
from jobs.testing import JobsRunner
from leads.models import EffectState
from tests.leads.people import make_organization

from .provider_server import DROP, TAKE_AND_DROP, TAKE_AND_MUMBLE, Answer, ProviderServer, use_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        use_provider(settings, "resend", server.url)
        yield server
        held_connections.close()


def welcome(**fields: Any) -> Any:
    handle = services.send_welcome_email("mia@example.org", name="Mia", **fields)
    assert handle is not None
    return handle


def run_all(jobs_runner: JobsRunner) -> None:
    for _ in range(4):
        jobs_runner.run(until=timedelta(minutes=5))


@pytest.mark.parametrize("fault", [DROP, TAKE_AND_DROP, TAKE_AND_MUMBLE, Answer(502), Answer(500), Answer(429)])
@pytest.mark.parametrize("faulty", [1, 2])
def test_mail_whose_answer_was_lost_is_sent_once_by_a_service_that_knows_its_key(
    server: ProviderServer, jobs_runner: JobsRunner, fault: Any, faulty: int
) -> None:
    server.fault = lambda number: fault if number <= faulty else None
    handle = welcome()
    run_all(jobs_runner)
    message = EmailMessage.objects.get()
    assert (handle.state, message.state, server.sent[str(message.id)]) == ("completed", EffectState.SENT, 1)
    assert (message.receipt, message.provider) == (server.taken[0].id, "resend")


def test_mail_whose_every_answer_is_lost_stays_unclear_and_is_shown_as_it_went(
    server: ProviderServer, jobs_runner: JobsRunner
) -> None:
    server.fault = lambda number: TAKE_AND_DROP
    handle = welcome()
    jobs_runner.run(until=timedelta(minutes=4))
    message = EmailMessage.objects.get()
    assert (handle.state, message.state, len(server.requests)) == ("queued", EffectState.UNCLEAR, 3)
    assert "Mia" in message.text
    # as long as its key is known there
    EmailMessage.objects.update(offered_at=timezone.now() - timedelta(hours=23))
    jobs_runner.run(until=timedelta(minutes=6))
    assert (handle.state, len(server.requests)) == ("failed", 3)
    assert server.sent[str(message.id)] == 1


@pytest.mark.parametrize("name", ["sendgrid"])
def test_mail_whose_answer_was_lost_is_left_to_a_person_by_a_service_that_knows_no_key(
    server: ProviderServer, jobs_runner: JobsRunner, settings: Any, name: str
) -> None:
    use_provider(settings, name, server.url)
    server.fault = lambda number: TAKE_AND_DROP
    handle = welcome()
    run_all(jobs_runner)
    message = EmailMessage.objects.get()
    assert (handle.state, message.state, len(server.requests)) == ("failed", EffectState.UNCLEAR, 1)
    call_command("jobs", "retry", str(handle.id))
    run_all(jobs_runner)
    assert len(server.requests) == 1
    server.fault = lambda number: None
    assert services.resend(message) is not None
    run_all(jobs_runner)
    message.refresh_from_db()
    assert (message.state, server.sent[str(message.id)]) == (EffectState.SENT, 2)


@pytest.mark.parametrize(
    "fields",
    [{"offered_at": timedelta(hours=24)}, {"provider": "sendgrid", "offered_at": timedelta(minutes=1)}],
    ids=["the key is forgotten", "handed to another service"],
)
def test_mail_that_is_unclear_is_not_repeated_where_its_key_is_not_known(
    server: ProviderServer, jobs_runner: JobsRunner, fields: dict[str, Any]
) -> None:
    welcome()
    age = fields["offered_at"]
    unclear = {"provider": "resend", **fields, "offered_at": timezone.now() - age, "state": EffectState.UNCLEAR}
    EmailMessage.objects.update(**unclear)
    run_all(jobs_runner)
    assert (EmailMessage.objects.get().state, server.requests) == (EffectState.UNCLEAR, [])


def test_mail_whose_worker_was_killed_is_handed_over_again_with_its_key(
    server: ProviderServer, jobs_runner: JobsRunner
) -> None:
    handle = welcome()
    # as the worker left it: the service has the mail, and nobody heard the answer
    EmailMessage.objects.update(
        state=EffectState.SENDING, claimed_by=handle.id, provider="resend", offered_at=timezone.now()
    )
    run_all(jobs_runner)
    message = EmailMessage.objects.get()
    assert (message.state, server.sent[str(message.id)]) == (EffectState.SENT, 1)


def test_report_that_comes_while_the_answer_is_waited_for_is_believed(jobs_runner: JobsRunner) -> None:
    welcome()
    message = EmailMessage.objects.get()
    assert message.claim_to_send(message.id, "sendgrid", recognises_repetition=False)
    EmailMessage.objects.update(state=EffectState.SENT)
    message.settle(EffectState.UNCLEAR, error="the answer was lost")
    assert (message.state, message.error) == (EffectState.SENT, "")


def test_revoked_key_ends_the_job_and_the_mail_can_be_sent_once_the_key_is_mended(
    server: ProviderServer, jobs_runner: JobsRunner
) -> None:
    server.fault = lambda number: Answer(401, '{"name": "invalid_api_key", "message": "API key is invalid"}')
    handle = welcome()
    run_all(jobs_runner)
    assert (handle.state, len(server.requests)) == ("failed", 1)
    message = EmailMessage.objects.get()
    assert (message.state, "API key is invalid" in message.error) == (EffectState.FAILED, True)
    server.fault = lambda number: None
    services.resend(message)
    run_all(jobs_runner)
    assert server.sent[str(message.id)] == 1


def test_no_mail_of_any_kind_goes_to_a_suppressed_address(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    welcome(organization=organization)
    first = EmailMessage.objects.get()
    suppression.suppress(first, Suppression.Reason.BOUNCED, "resend")
    run_all(jobs_runner)
    first.refresh_from_db()
    assert (first.state, mail.outbox) == (EffectState.SKIPPED, [])
    assert "bounced" in first.shown_error()
    welcome(organization=make_organization("other"))
    run_all(jobs_runner)
    assert len(mail.outbox) == 1


def test_mail_that_was_perhaps_sent_is_not_called_unsent_when_its_address_is_suppressed(
    server: ProviderServer, jobs_runner: JobsRunner
) -> None:
    welcome()
    message = EmailMessage.objects.get()
    suppression.suppress(message, Suppression.Reason.BOUNCED, "resend")
    EmailMessage.objects.update(provider="resend", offered_at=timezone.now(), state=EffectState.UNCLEAR)
    assert "outcome" in send_welcome.call(message.id)
    message.refresh_from_db()
    assert (message.state, server.requests) == (EffectState.UNCLEAR, [])


def test_mail_that_is_sent_again_forgets_what_was_reported_of_the_first(jobs_runner: JobsRunner) -> None:
    welcome()
    EmailMessage.objects.update(
        state=EffectState.UNCLEAR, provider="resend", offered_at=timezone.now(), delivery="bounced"
    )
    message = EmailMessage.objects.get()
    assert services.resend(message) is not None
    message.refresh_from_db()
    assert (message.offered_at, message.delivery) == (None, "")


@pytest.mark.parametrize("name", ["resend", "sendgrid"])
def test_ledger_of_the_service_balances_whatever_it_does(
    server: ProviderServer, jobs_runner: JobsRunner, settings: Any, name: str
) -> None:
    use_provider(settings, name, server.url)
    chance = random.Random(11)
    answers = [None, None, None, DROP, TAKE_AND_DROP, TAKE_AND_MUMBLE]
    answers += [Answer(status) for status in (400, 429, 500, 502, 503)]
    cut: list[int] = []

    def fault(number: int) -> Any:
        chosen = chance.choice(answers)
        if chosen in (DROP, TAKE_AND_DROP, TAKE_AND_MUMBLE) or (isinstance(chosen, Answer) and chosen.status == 502):
            cut.append(number)
        return chosen

    server.fault = fault
    for number in range(60):
        services.send_welcome_email(f"member{number}@example.org")
    for _ in range(12):
        jobs_runner.run(until=timedelta(hours=1))
    ledger, states = server.sent, Counter()
    for message in EmailMessage.objects.all():
        states[message.state] += 1
        sent = ledger[str(message.id)]
        assert sent <= 1
        assert sent == {EffectState.SENT: 1, EffectState.REFUSED: 0, EffectState.FAILED: 0}.get(message.state, sent)
    assert set(states) <= {EffectState.SENT, EffectState.REFUSED, EffectState.FAILED, EffectState.UNCLEAR}
    assert states[EffectState.UNCLEAR] <= len(cut)
    assert states[EffectState.SENT] > 20
