"""The page of providers and limits: what it tells of each, and who may open and close a breaker."""

from __future__ import annotations

import html
from contextlib import suppress
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

import jobs
from accounts.models import Organization
from jobs import Breaker, Limit, Queue, RateLimit, RetryLater, clock, provider_call
from jobs.models import ProviderFailure, TaskStat
from tests.each_broker import claim
from tests.each_broker import each_broker as each_broker

from .conftest import LIST, MakeClient, MakeJob

PAGE = f"{LIST}limits/"
lane = Queue("shared_page_lane", rate_limit=RateLimit(7, per=60))


@lane.task(name="shared.call", limits=[Limit("hubspot", RateLimit(100, per=10)), Breaker("hubspot-away", failures=7)])
def call() -> None: ...


@pytest.fixture(autouse=True)
def _lane_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})
    for module in ("limits", "breakers", "providers"):
        monkeypatch.setattr(f"jobs.history.{module}.queues", lambda: {lane.name: lane})


def text(client: Client, address: str = PAGE) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(html.unescape(response.content.decode()).split())


def test_a_breaker_is_opened_and_closed_by_hand_and_the_overview_says_so(client_with: MakeClient) -> None:
    person = client_with("view_job", "change_limits")
    assert PAGE in text(person, "/admin/jobs/")
    page = text(person)
    assert "100/10" in page
    assert "0 of 7 failures in 60 s" in page

    response = person.post(PAGE, {"breaker": "hubspot-away", "act": "open"}, follow=True)
    assert "Breaker hubspot-away is open until somebody closes it." in response.content.decode()
    assert [one.by_hand for one in jobs.breakers()] == [True]
    overview = text(person, "/admin/jobs/")
    assert "Breaker hubspot-away: opened by hand" in overview
    assert "opened by hand" in text(person)
    person.post(PAGE, {"breaker": "hubspot-away", "act": "close"})
    assert [one.state for one in jobs.breakers()] == ["closed"]
    assert [str(one.change_message) for one in LogEntry.objects.order_by("pk")] == [
        "Opened by hand.",
        "Closed by hand.",
    ]

    for given in ({"breaker": "nobody", "act": "open"}, {"breaker": "hubspot-away", "act": "burn"}):
        assert "error" in person.post(PAGE, given, follow=True).content.decode()


def test_it_needs_its_permission_and_the_csrf_token(client_with: MakeClient) -> None:
    other = client_with("view_job", "pause_queue")
    assert "Open by hand" not in text(other)
    assert other.post(PAGE, {"breaker": "hubspot-away", "act": "open"}).status_code == 403
    assert client_with("view_attempt").get(PAGE).status_code == 403
    strict = client_with("view_job", "change_limits", enforce_csrf_checks=True)
    assert strict.post(PAGE, {"breaker": "hubspot-away", "act": "open"}).status_code == 403
    assert [one.state for one in jobs.breakers()] == ["closed"]


def row_of(page: str, name: str) -> str:
    (row,) = [row for row in page.split("<tr>") if f'<th scope="row">{name}' in row]
    return row.partition("</tr>")[0]


def called(name: str, *errors: Exception | None) -> None:
    for error in errors:
        with suppress(Exception), provider_call(name):
            if error is not None:
                raise error


def test_a_provider_s_line_tells_its_calls_how_long_they_took_and_how_the_last_failed(
    client_with: MakeClient, make_job: MakeJob
) -> None:
    job = make_job(state="failed", queue=lane.name, task="shared.call", error="ValueError: <script>alert(1)</script>")
    called("parcels", None, None, RetryLater(1), ValueError("of another attempt"))
    ProviderFailure.objects.update(job_id=job.pk)
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    cell = {"queue": "", "task": "parcels", "outcome": "ok", "ran": 3, "waited": 0, "part": 0, "waited_ms": 0}
    TaskStat.objects.create(**cell, hour=hour - timedelta(hours=2), jobs=96, ran_ms=20_000)
    TaskStat.objects.create(**cell, hour=hour - timedelta(hours=24), jobs=5_000, ran_ms=1)
    response = client_with("view_job").get(PAGE)
    assert "<script>alert" not in response.content.decode()
    row = row_of(text(client_with("view_job", "retry_job")), "parcels")
    assert " 100 <svg" in row
    for said in ("1 % failed", "1 slowed", "> 200 ms<br>", "95 % within 242 ms", f"/job/{job.pk}/change/"):
        assert said in row, said
    assert "ValueError: <script>" in row
    assert "Open by hand" not in row  # it has no breaker


def start(number: int) -> None:
    """Claim so many; a broker may need a look to know of which limits it needs starts."""
    for _ in range(5):
        number -= len(claim(lane.name, number))
        if not number:
            return
    raise AssertionError(f"{number} were not claimed")


@pytest.mark.django_db(transaction=True)
def test_on_each_broker_it_tells_who_waits_and_when_the_next_may_start(
    each_broker: str, client_with: MakeClient
) -> None:
    call.enqueue_many([()] * 102)
    call.using(delay=600).enqueue()
    start(2)
    person = client_with("view_job", "change_limits")
    row = row_of(text(person), "hubspot ")
    assert "2 of 100 taken" in row
    assert 'data-label="Jobs waiting" class="num">100</td>' in row
    page = text(person)
    assert "2 of 7 taken" in row_of(page, f'<a href="/admin/jobs/job/queues/{lane.name}/limits/">')
    start(5)
    assert "7 of 7 taken, next start <time" in row_of(text(person), f'<a href="/admin/jobs/job/queues/{lane.name}/')


def test_a_page_of_many_providers_needs_no_more_queries_than_one_of_few(
    client_with: MakeClient,
) -> None:
    person = client_with("view_job")
    text(person)
    called("one", ValueError())
    with CaptureQueriesContext(connection) as few:
        text(person)
    for number in range(30):
        called(f"provider_{number}", None, ValueError())
    with CaptureQueriesContext(connection) as many:
        page = text(person)
    assert "provider_29" in page
    assert len(many) == len(few) < 30


def test_without_any_it_says_what_will_be_there(client_with: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("limits", "breakers", "providers"):
        monkeypatch.setattr(f"jobs.history.{module}.queues", dict)
    assert "No provider yet" in text(client_with("view_job"))


def test_a_member_of_one_organization_sees_nothing_of_it(client_with: MakeClient, no_roles: None) -> None:
    organization = Organization.objects.create(name="Acme", slug="acme")
    assert client_with("view_job", member_of=organization).get(PAGE).status_code == 403
