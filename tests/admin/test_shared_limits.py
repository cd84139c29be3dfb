"""The page of limits and breakers that tasks share: what it lists, and who may open and close a breaker."""

from __future__ import annotations

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

import jobs
from jobs import Breaker, Limit, Queue, RateLimit

from .conftest import LIST, MakeClient

PAGE = f"{LIST}limits/"
lane = Queue("shared_page_lane")


@lane.task(name="shared.call", limits=[Limit("hubspot", RateLimit(100, per=10)), Breaker("hubspot-away", failures=7)])
def call() -> None: ...


@pytest.fixture(autouse=True)
def _lane_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("limits", "breakers"):
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
    assert "0 of 7 in 60 s" in page

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
