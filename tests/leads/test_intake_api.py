"""`POST /api/leads/`: what it takes, and how it refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from jobs.testing import JobsRunner
from leads import receivers
from leads.models import Lead, Submission, SubmissionState
from leads.services import intake, process_submission

from .described import assert_described
from .people import make_key, make_organization

pytestmark = pytest.mark.django_db

LEAD = {"name": "Ada", "email": "Ada@Analytical.example"}


class Sender:
    """A program with an organisation's key."""

    def __init__(self) -> None:
        self.organization = make_organization()
        self.key, self.secret = make_key(self.organization)
        self.client = Client(raise_request_exception=False)

    def post(self, body: Any, *, secret: str | None = None, idempotency_key: str = "", **extra: Any) -> HttpResponse:
        headers = {"Authorization": f"Bearer {secret or self.secret}"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        extra.setdefault("content_type", "application/json")
        response = self.client.post("/api/leads/", data, headers=headers, **extra)
        assert_described(response)
        return response


@pytest.fixture
def sender() -> Sender:
    return Sender()


def error_code(response: HttpResponse) -> str:
    return str(json.loads(response.content)["error"]["code"])


def test_valid_lead_is_created_with_the_organization_of_the_key(sender: Sender) -> None:
    response = sender.post({**LEAD, "utm_source": "news", "consent": True, "value": "12000.50", "currency": "EUR"})
    assert response.status_code == 201
    lead = Lead.objects.get()
    answer = response.json()
    assert (answer["id"], answer["created"]) == (str(lead.id), True)
    assert (lead.organization, lead.email_key, lead.source) == (sender.organization, "ada@analytical.example", "api")
    assert (lead.utm_source, str(lead.value), lead.request_consent_at is not None) == ("news", "12000.50", True)


def test_second_submission_of_an_address_joins_the_same_lead(sender: Sender, jobs_runner: JobsRunner) -> None:
    first = sender.post(LEAD)
    second = sender.post({"name": "Countess", "email": "ada@ANALYTICAL.example", "company": "Analytical Engines"})
    assert (second.status_code, second.json()["id"], second.json()["created"]) == (200, first.json()["id"], False)
    lead = Lead.objects.get()
    assert (lead.name, lead.company, lead.submissions.count()) == ("Ada", "Analytical Engines", 2)
    events = [handle.job.event for handle in jobs_runner.enqueued()]
    assert events.count("LeadCreated") == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Ada", "email": "not an address"}, "email"),
        ({"email": "ada@analytical.example"}, "name"),
        ({"name": "Ada"}, "email"),
        ({"name": "Ada", "phone": "12"}, "phone"),
        ({**LEAD, "source": "mars"}, "source"),
        ({**LEAD, "time_zone": "Mars/Olympus"}, "time_zone"),
        ({**LEAD, "value": "-1"}, "value"),
        ({**LEAD, "consent": "yes"}, "consent"),
        ({**LEAD, "emial": "typo"}, "emial"),
        ({**LEAD, "company": {"name": "nested"}}, "company"),
        ("{", ""),
        ("[1]", ""),
        ('{"name": NaN}', ""),
        (b"\xff\xfe{}", ""),
        ("[" * 20_000, ""),
    ],
)
def test_invalid_lead_is_refused_by_field_and_only_the_submission_is_kept(
    sender: Sender, jobs_runner: JobsRunner, body: Any, field: str
) -> None:
    response = sender.post(body)
    assert response.status_code == 400
    assert field in response.json()["error"]["fields"]
    assert Submission.objects.get().state == SubmissionState.INVALID
    # the net under the request, which finds nothing to do
    assert [handle.state for handle in jobs_runner.run(include_scheduled=True)] == ["completed"]
    assert [handle.job.task for handle in jobs_runner.enqueued()] == ["leads.process_submission"]
    assert not Lead.objects.exists()


@pytest.mark.parametrize("secret", ["wrong", "esk_" + "A" * 43])
def test_wrong_key_is_401_and_stores_nothing(sender: Sender, secret: str) -> None:
    response = sender.post(LEAD, secret=secret)
    assert (response.status_code, error_code(response)) == (401, "wrong_key")
    assert not Submission.objects.exists()


def test_revoked_key_is_401(sender: Sender) -> None:
    sender.key.revoked_at = timezone.now()
    sender.key.save()
    assert sender.post(LEAD).status_code == 401


def test_key_is_not_stored_in_clear(sender: Sender) -> None:
    assert sender.secret not in str(sender.key.__dict__)


def test_body_over_64_kib_is_413(sender: Sender) -> None:
    response = sender.post({**LEAD, "message": "x" * 65_536})
    assert (response.status_code, error_code(response)) == (413, "too_large")
    assert not Submission.objects.exists()


def test_other_methods_and_media_types_are_refused(sender: Sender) -> None:
    refused = sender.client.get("/api/leads/")
    assert (refused.status_code, error_code(refused)) == (405, "method_not_allowed")
    assert_described(refused)
    assert sender.post(LEAD, content_type="text/plain").status_code == 415


def test_too_many_requests_are_429_with_a_retry_after_that_holds(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "LIMIT_PER_KEY", 3)
    for _number in range(3):
        assert sender.post(LEAD).status_code in {200, 201}
    refused = sender.post(LEAD)
    assert (refused.status_code, error_code(refused)) == (429, "too_many")
    wait = int(refused.headers["Retry-After"])
    assert 1 <= wait <= 60
    assert Submission.objects.count() == 3
    Submission.objects.update(received_at=timezone.now() - timedelta(seconds=61))
    assert sender.post(LEAD).status_code == 200


def test_same_idempotency_key_and_body_get_the_first_answer(sender: Sender) -> None:
    first = sender.post(LEAD, idempotency_key="k1")
    again = sender.post(LEAD, idempotency_key="k1")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert Submission.objects.count() == 1


def test_same_idempotency_key_gets_a_refusal_again(sender: Sender) -> None:
    first = sender.post({"name": "Ada"}, idempotency_key="k1")
    again = sender.post({"name": "Ada"}, idempotency_key="k1")
    assert (first.status_code, again.status_code, again.json()) == (400, 400, first.json())


def test_same_idempotency_key_with_another_body_is_422(sender: Sender) -> None:
    sender.post(LEAD, idempotency_key="k1")
    response = sender.post({**LEAD, "name": "Other"}, idempotency_key="k1")
    assert (response.status_code, error_code(response)) == (422, "idempotency_conflict")


def test_idempotency_key_whose_first_request_is_running_is_409(sender: Sender) -> None:
    sender.post(LEAD, idempotency_key="k1")
    Submission.objects.update(answer_status=None, answer=None, state=SubmissionState.RECEIVED)
    response = sender.post(LEAD, idempotency_key="k1")
    assert (response.status_code, error_code(response)) == (409, "still_running")


def test_request_that_was_broken_off_is_taken_over_by_the_next_with_its_key(sender: Sender) -> None:
    body = json.dumps(LEAD)
    submission, _fresh = intake.store_submission(
        sender.organization, intake.Channel.API, body, api_key=sender.key, idempotency_key="k1"
    )
    Submission.objects.update(started_at=timezone.now() - timedelta(minutes=2))
    response = sender.post(body, idempotency_key="k1")
    assert (response.status_code, response.json()["submission_id"]) == (201, str(submission.id))


def test_idempotency_key_is_free_again_after_a_day(sender: Sender) -> None:
    sender.post(LEAD, idempotency_key="k1")
    Submission.objects.update(received_at=timezone.now() - timedelta(hours=25))
    assert sender.post({**LEAD, "name": "Other"}, idempotency_key="k1").status_code == 200


def test_keys_of_two_organizations_do_not_share_idempotency_keys(sender: Sender) -> None:
    other = make_organization("other")
    sender.post(LEAD, idempotency_key="k1")
    response = sender.post({**LEAD, "name": "Other"}, idempotency_key="k1", secret=make_key(other)[1])
    assert response.status_code == 201
    assert Lead.objects.filter(email_key="ada@analytical.example").count() == 2


def test_failing_receiver_loses_no_lead(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(receivers.services, "calculate_lead_score", fail)
        response = sender.post(LEAD)
    assert (response.status_code, response.json()["status"]) == (202, "received")
    submission = Submission.objects.get()
    assert (submission.state, submission.problem) == (SubmissionState.FAILED, "RuntimeError: a bug")
    assert not Lead.objects.exists()

    assert process_submission(submission.id).state == SubmissionState.PROCESSED
    assert Lead.objects.get().submissions.get() == submission


def test_processing_twice_makes_one_lead_and_announces_once(sender: Sender, jobs_runner: JobsRunner) -> None:
    sender.post(LEAD)
    jobs = len(jobs_runner.enqueued())
    process_submission(Submission.objects.get().id)
    assert len(jobs_runner.enqueued()) == jobs
