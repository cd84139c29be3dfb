"""CRM deliveries, against a server that speaks the webhook's wire format."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts.models import Organization
from jobs import PermanentError, RetryLater
from jobs.history.providers import calls_by_provider
from jobs.testing import JobsRunner
from leads import outgoing
from leads.models import CrmDelivery, CrmWebhook, EffectState, Lead
from leads.services import change_lead_status, sync_lead_to_crm
from leads.tasks import sync_to_crm

from .people import make_lead, make_organization
from .servers import serve

pytestmark = pytest.mark.django_db


class Crm(ThreadingHTTPServer):
    """Answers with the next of `answers` (200 when there is none), and keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.received: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?secret=1"


class _Handler(BaseHTTPRequestHandler):
    server: Crm

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers.items()), body))
        status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        for name, value in {"Content-Length": "4", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def crm() -> Iterator[Crm]:
    yield from serve(Crm())


@pytest.fixture
def organization(crm: Crm) -> Organization:
    return make_organization(crm_webhook_url=crm.url)


@pytest.fixture
def lead(organization: Organization) -> Lead:
    return make_lead(organization)


def sync(lead: Lead, **options: Any) -> Any:
    return sync_lead_to_crm(lead.id, lead.organization_id, **options)


def test_delivery_is_signed_and_carries_the_lead(
    crm: Crm, lead: Lead, organization: Organization, jobs_runner: JobsRunner
) -> None:
    sync(lead, custom_fields={"region": "north"})
    jobs_runner.run()
    headers, body = crm.received[0]
    content = Webhook(organization.crm_webhook.secret).verify(body, headers)
    assert content["data"]["id"] == str(lead.id)
    assert content["data"]["custom_fields"] == {"region": "north"}
    delivery = CrmDelivery.objects.get()
    assert (delivery.state, delivery.response_status, delivery.response_body) == (EffectState.SENT, 200, "done")
    assert headers["webhook-id"] == str(delivery.id)
    assert delivery.target == "127.0.0.1"


def test_delivery_that_is_answered_503_is_tried_three_times_with_one_id_and_becomes_a_dead_letter(
    crm: Crm, lead: Lead, jobs_runner: JobsRunner
) -> None:
    crm.answers = [(503, {})] * 3
    handle = sync(lead)
    jobs_runner.run(until=timedelta(minutes=5))
    assert (handle.state, handle.attempt) == ("failed", 3)
    assert len({headers["webhook-id"] for headers, _body in crm.received}) == 1
    delivery = CrmDelivery.objects.get()
    assert (delivery.state, delivery.tries) == (EffectState.FAILED, 3)
    assert calls_by_provider()["crm"].by_outcome == {"failed": 3}
    assert "503" in delivery.error


def test_delivery_that_failed_is_delivered_by_a_retry(crm: Crm, lead: Lead, jobs_runner: JobsRunner) -> None:
    crm.answers = [(503, {})]
    handle = sync(lead)
    jobs_runner.run(until=timedelta(minutes=5))
    assert handle.state == "completed"
    assert CrmDelivery.objects.get().state == EffectState.SENT


def test_429_waits_as_long_as_it_asks_and_burns_no_attempt(crm: Crm, lead: Lead, jobs_runner: JobsRunner) -> None:
    crm.answers = [(429, {"Retry-After": "7"})]
    handle, before = sync(lead), datetime.now(UTC)
    jobs_runner.run()
    assert handle.attempt == 0
    assert before + timedelta(seconds=7) < handle.job.ready_at <= datetime.now(UTC) + timedelta(seconds=7)
    jobs_runner.run(until=timedelta(minutes=1))
    assert handle.state == "completed"


@pytest.mark.parametrize("status", [301, 400, 404, 410])
def test_other_refusals_are_final(crm: Crm, lead: Lead, jobs_runner: JobsRunner, status: int) -> None:
    crm.answers = [(status, {"Location": crm.url})]
    handle = sync(lead)
    jobs_runner.run(include_scheduled=True)
    assert (handle.state, len(crm.received)) == ("failed", 1)
    assert str(status) in CrmDelivery.objects.get().error


@pytest.mark.parametrize("header", ["9" * 400, "nan", "-1"])
def test_no_attempt_is_burnt_by_what_429_says_about_how_long(
    crm: Crm, lead: Lead, jobs_runner: JobsRunner, header: str
) -> None:
    crm.answers = [(429, {"Retry-After": header})]
    handle = sync(lead)
    jobs_runner.run()
    assert (handle.state, handle.attempt) == ("queued", 0)
    jobs_runner.run(until=timedelta(days=1, minutes=1))
    assert handle.state == "completed"


def test_webhook_into_a_private_network_is_a_dead_letter_and_nothing_arrives(
    crm: Crm, lead: Lead, settings: Any, jobs_runner: JobsRunner
) -> None:
    settings.OUTGOING_PRIVATE_NETWORKS = []
    handle = sync(lead)
    jobs_runner.run(until=timedelta(minutes=5))
    assert (handle.state, crm.received) == ("failed", [])
    assert "unknown or not on the public internet" in CrmDelivery.objects.get().error


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:8000/", "not on the public internet"),
        ("https://2130706433/", "Enter a valid URL|not on the public internet"),
        ("http://[::ffff:169.254.169.254]/latest/", "not on the public internet"),
        ("https://localhost/", "not on the public internet"),
        ("https://ada:secret@crm.example.com/", "must not contain a user name or password"),
        ("https://crm.example.com:25/", "Use port 80, 443 or one above 1023"),
    ],
)
def test_form_refuses_a_webhook_that_no_request_may_reach(
    admin_client: Client, settings: Any, url: str, sentence: str
) -> None:
    settings.OUTGOING_PRIVATE_NETWORKS = []
    webhook = CrmWebhook.objects.create(organization=make_organization())
    page = reverse("admin:leads_crmwebhook_change", args=[webhook.pk])
    form = admin_client.get(page).context["adminform"].form
    fields = {name: value for name, value in form.initial.items() if value is not None}
    answer = admin_client.post(page, {**fields, "url": url})
    errors = " ".join(answer.context["adminform"].form.errors["url"])
    assert re.search(sentence, errors)
    webhook.refresh_from_db()
    assert webhook.url == ""
    assert admin_client.post(page, {**fields, "url": "https://crm.example.com/x"}).status_code == 302


def test_server_that_does_not_listen_is_another_try(lead: Lead, crm: Crm) -> None:
    crm.shutdown()
    crm.server_close()
    sync(lead)
    with pytest.raises(outgoing.ProviderUnavailable):
        sync_to_crm.call(lead.id, lead.organization_id)
    assert CrmDelivery.objects.get().state == EffectState.FAILED


def test_one_version_is_delivered_once(crm: Crm, lead: Lead, jobs_runner: JobsRunner) -> None:
    sync(lead)
    jobs_runner.run()
    assert sync(lead) is None
    assert sync_to_crm.call(lead.id, lead.organization_id) == {"outcome": "delivered already"}
    assert len(crm.received) == 1


def test_newer_version_stands_for_older_ones_that_were_not_delivered(
    crm: Crm, lead: Lead, jobs_runner: JobsRunner
) -> None:
    sync(lead)
    change_lead_status(lead.id, lead.organization_id, "contacted")
    jobs_runner.run(queue="lead")
    bodies = [json.loads(body)["data"] for _headers, body in crm.received]
    assert [body["status"] for body in bodies] == ["contacted"] * len(bodies)
    states = list(CrmDelivery.objects.order_by("lead_version").values_list("state", flat=True))
    assert states[0] == EffectState.SKIPPED
    assert states[-1] == EffectState.SENT


def test_secret_in_no_known_form_is_final(crm: Crm, lead: Lead) -> None:
    CrmWebhook.objects.update(secret="whsec_")
    sync(lead)
    with pytest.raises(PermanentError, match="secret"):
        sync_to_crm.call(lead.id, lead.organization_id)
    assert not crm.received


def test_settings_name_the_crm_of_organizations_without_one(crm: Crm, settings: Any, jobs_runner: JobsRunner) -> None:
    settings.CRM_WEBHOOK_URL, settings.CRM_WEBHOOK_SECRET = crm.url, "whsec_" + "QUJD" * 8
    lead = make_lead(make_organization())
    sync(lead)
    jobs_runner.run()
    headers, body = crm.received[0]
    assert Webhook(settings.CRM_WEBHOOK_SECRET).verify(body, headers)["data"]["id"] == str(lead.id)


@pytest.mark.django_db(transaction=True)
def test_one_version_asked_for_twice_is_one_live_job(crm: Crm, lead: Lead, jobs_runner: JobsRunner) -> None:
    first, second = sync(lead), sync(lead)
    assert [handle.state for handle in (first, second)] == ["queued", "cancelled"]


class Slow(ThreadingHTTPServer):
    """Takes each request and says nothing until it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SlowHandler)
        self.visits = 0
        self.answer = threading.Event()


class _SlowHandler(BaseHTTPRequestHandler):
    server: Slow

    def do_POST(self) -> None:
        self.server.visits += 1
        self.server.answer.wait(60)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def slow() -> Iterator[Slow]:
    for server in serve(Slow()):
        yield server
        server.answer.set()


def test_a_crm_that_is_too_slow_gets_one_try_a_minute_and_other_organizations_are_served(
    crm: Crm, slow: Slow, jobs_runner: JobsRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "TOTAL_TIME", 1.5)
    dripping = make_organization("slow", crm_webhook_url=f"http://127.0.0.1:{slow.server_address[1]}/")
    waiting = [sync(make_lead(dripping, email=f"{i}@mail.example")) for i in range(10)]
    served = sync(make_lead(make_organization(crm_webhook_url=crm.url)))
    jobs_runner.run()
    assert (slow.visits, served.state) == (1, "completed")
    assert [handle.attempt for handle in waiting] == [1] + [0] * 9
    # one of them tries again, the others see that it does
    CrmWebhook.objects.filter(pk=dripping.pk).update(resume_at=timezone.now())
    for handle in waiting[1:4]:
        with suppress(RetryLater, outgoing.TooSlow):
            sync_to_crm.call(*handle.args)
    assert slow.visits == 2
    # it answers: all of them go
    slow.answer.set()
    monkeypatch.setattr(outgoing, "TOTAL_TIME", 10.0)
    CrmWebhook.objects.filter(pk=dripping.pk).update(resume_at=timezone.now())
    sync_to_crm.call(*waiting[5].args)
    assert CrmWebhook.objects.get(pk=dripping.pk).resume_at is None
    jobs_runner.run(until=timedelta(minutes=2))
    assert {handle.state for handle in waiting} == {"completed"}
    assert set(CrmDelivery.objects.values_list("state", flat=True)) == {EffectState.SENT}
