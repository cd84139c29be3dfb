"""The page on which a queue gets other limits: who may, what it asks for, what it says."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

import jobs
from jobs import RateLimit
from jobs.models import QueueState

from .conftest import LIST, MakeClient

PAGE = f"{LIST}queues/email/limits/"
AS_THE_CODE = {"rate_limit": "code", "concurrency": "code", "global_concurrency": "code"}


@pytest.fixture
def person(client_with: MakeClient) -> Client:
    return client_with("view_job", "change_limits")


def test_a_limit_is_changed_and_logged_and_the_code_decides_again(person: Client) -> None:
    page = person.get(PAGE).content.decode()
    assert "As in the code: 10/1" in page
    given = {"rate_limit": "own", "rate_number": 3, "rate_per": 2.5, "concurrency": "code", "global_concurrency": "own"}
    response = person.post(PAGE, {**given, "global_number": 7})
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/jobs/")
    held = jobs.limits("email")
    assert (held.rate_limit, held.concurrency, held.global_concurrency) == (RateLimit(3, per=2.5), 5, 7)
    assert LogEntry.objects.get().change_message == "Limits: rate limit 3/2.5, concurrency everywhere 7."
    overview = person.get("/admin/jobs/").content.decode()
    assert "limits changed" in overview

    response = person.post(PAGE, {**AS_THE_CODE, "rate_limit": "none"})
    held = jobs.limits("email")
    assert (held.rate_limit, held.set_at_run_time) == (None, ("rate_limit",))


def test_only_what_was_changed_on_the_page_is_set(person: Client) -> None:
    jobs.set_limits("email", concurrency=9)
    shown = {"rate_limit": "code", "rate_number": 10, "rate_per": 1, "concurrency": "own", "concurrency_number": 9}
    page = person.post(PAGE, {**shown, "global_concurrency": "code"}).content.decode()
    assert "Nothing is changed yet." in page
    assert jobs.limits("email").set_at_run_time == ("concurrency",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"concurrency": "own", "concurrency_number": ""}, "Give a number."),
        ({"concurrency": "own", "concurrency_number": 0}, "greater than or equal to 1"),
        ({"rate_limit": "own", "rate_number": 5, "rate_per": "nan"}, "Enter a number."),
        ({"rate_limit": "own", "rate_number": 5, "rate_per": "1e9"}, "less than or equal to 31536000"),
        ({"concurrency": "none"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_stands_at_its_field(person: Client, given: dict[str, object], said: str) -> None:
    response = person.post(PAGE, {**AS_THE_CODE, **given})
    assert response.status_code == 200
    assert said in response.content.decode()
    assert not QueueState.objects.filter(queue="email").exists()


def test_it_needs_its_permission_and_the_csrf_token(client_with: MakeClient) -> None:
    other = client_with("view_job", "pause_queue")
    assert other.get(PAGE).status_code == 403
    assert other.post(PAGE, AS_THE_CODE).status_code == 403
    assert PAGE not in other.get("/admin/jobs/").content.decode()
    strict = client_with("view_job", "change_limits", enforce_csrf_checks=True)
    assert strict.post(PAGE, AS_THE_CODE).status_code == 403
    assert PAGE in strict.get("/admin/jobs/").content.decode()


def test_an_unknown_queue_is_refused_in_words(person: Client) -> None:
    page = person.get(f"{LIST}queues/emial/limits/", follow=True).content.decode()
    assert "is not defined; queues are" in page
