"""The public form of an organisation."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from leads.models import Channel, Lead, Submission, SubmissionState
from leads.services import intake, leads, receive

from .people import make_key, make_lead, make_organization

FIELDS = {"name": "Ada", "email": "ada@analytical.example", "message": "How fast is it?", "consent": "on"}


@pytest.mark.django_db
def test_form_makes_a_lead_and_says_thanks(client: Client) -> None:
    make_organization()
    response = client.post("/forms/acme/", {**FIELDS, "utm_campaign": "spring"})
    assert (response.status_code, response.headers["Location"]) == (302, "/forms/acme/thanks/")
    lead = Lead.objects.get()
    assert (lead.source, lead.utm_campaign, lead.request_consent_at is not None) == ("form", "spring", True)
    assert "reached Acme" in client.get("/forms/acme/thanks/").content.decode()


@pytest.mark.django_db
def test_form_keeps_the_campaign_fields_of_its_address(client: Client) -> None:
    make_organization()
    page = client.get("/forms/acme/?utm_source=%22%3E%3Cscript%3E&utm_medium=mail").content.decode()
    assert 'name="utm_medium" value="mail"' in page
    assert "<script" not in page


@pytest.mark.django_db
def test_form_without_consent_records_none(client: Client) -> None:
    make_organization()
    client.post("/forms/acme/", {key: value for key, value in FIELDS.items() if key != "consent"})
    assert Lead.objects.get().request_consent_at is None


@pytest.mark.django_db
def test_a_consent_box_stands_before_its_words(client: Client) -> None:
    make_organization()
    page = client.get("/forms/acme/").content.decode()
    assert re.findall(r'<div class="check"><input type="checkbox" name="(\w+)"[^>]*> <label for="id_\1">', page) == [
        "consent",
        "marketing_consent",
    ]


@pytest.mark.django_db
def test_filled_trap_looks_accepted_and_makes_no_lead(client: Client) -> None:
    make_organization()
    response = client.post("/forms/acme/", {**FIELDS, intake.HONEYPOT: "https://spam.example"})
    assert response.status_code == 302
    assert not Lead.objects.exists()
    assert Submission.objects.get().state == SubmissionState.TRAPPED


@pytest.mark.django_db
def test_invalid_form_shows_its_errors_and_what_was_typed(client: Client) -> None:
    make_organization()
    response = client.post("/forms/acme/", {**FIELDS, "email": "ada@"})
    page = response.content.decode()
    assert response.status_code == 400
    assert "Enter a valid e-mail address." in page
    assert "How fast is it?" in page
    assert Submission.objects.get().state == SubmissionState.INVALID
    assert not Lead.objects.exists()


@pytest.mark.django_db
def test_form_without_its_token_is_refused() -> None:
    make_organization()
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/forms/acme/", FIELDS).status_code == 403
    token = token_of(strict.get("/forms/acme/").content.decode())
    assert strict.post("/forms/acme/", {**FIELDS, "csrfmiddlewaretoken": token}).status_code == 302
    assert "csrfmiddlewaretoken" not in Submission.objects.get().body


def token_of(page: str) -> str:
    found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.django_db
def test_form_of_an_old_tab_is_shown_again_with_what_was_typed_and_a_token_that_works() -> None:
    make_organization()
    strict = Client(enforce_csrf_checks=True)
    typed = {**FIELDS, "message": "<b>Two hours</b> of work", "csrfmiddlewaretoken": "x" * 64, "utm_campaign": "spring"}
    refused = strict.post("/forms/acme/", typed)
    page = refused.content.decode()
    assert refused.status_code == 403
    assert "What you wrote is still here" in page
    for text in ("&lt;b&gt;Two hours&lt;/b&gt; of work", 'value="ada@analytical.example"', 'value="spring"', "checked"):
        assert text in page
    assert not Submission.objects.exists()
    assert strict.post("/forms/acme/", {**typed, "csrfmiddlewaretoken": token_of(page)}).status_code == 302
    assert Lead.objects.get().message == "<b>Two hours</b> of work"


@pytest.mark.django_db
def test_old_tab_of_a_form_that_is_no_more_is_404_and_of_other_pages_a_page_of_the_site() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/forms/nobody/", FIELDS).status_code == 404
    for address in ("/accounts/login/", "/admin/login/", "/accounts/logout/"):
        refused = strict.post(address, {"username": "ada"}, headers={"Accept-Language": "en"})
        assert refused.status_code == 403
        assert "Please send it again" in refused.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "shown"), [("", "pt-br"), ("fr-CH, fr;q=0.9", "pt-br"), ("en-GB", "en"), ("pt", "pt-br"), ("*", "pt-br")]
)
def test_form_speaks_the_visitors_language_else_the_organizations(client: Client, asked: str, shown: str) -> None:
    make_organization(language="pt-br")
    headers = {"Accept-Language": asked} if asked else {}
    for address in ("/forms/acme/", "/forms/acme/thanks/"):
        assert f'<html lang="{shown}">' in client.get(address, headers=headers).content.decode()
    client.post("/forms/acme/", FIELDS, headers=headers)
    assert Lead.objects.get().locale == shown


@pytest.mark.django_db(transaction=True)
def test_intake_works_where_requests_are_transactions(
    each_database: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`?atomic_requests=true` in DATABASE_URL."""
    organization = make_organization()
    _key, secret = make_key(organization)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert client.post("/forms/acme/", FIELDS).status_code == 302
    answer = client.post(
        "/api/leads/",
        {"name": "Grace", "email": "grace@navy.example"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert (answer.status_code, Lead.objects.count()) == (201, 2)


@pytest.mark.django_db
def test_too_large_form_is_413_and_too_many_are_429(client: Client, settings: Any) -> None:
    make_organization()
    assert client.post("/forms/acme/", {**FIELDS, "message": "x" * 70_000}).status_code == 413
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "network": (1, 60)}
    assert client.post("/forms/acme/", FIELDS).status_code == 302
    refused = client.post("/forms/acme/", FIELDS)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1


@pytest.mark.django_db
def test_unknown_form_is_404(client: Client) -> None:
    assert client.get("/forms/nobody/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_two_submissions_at_once_with_one_address_make_one_lead() -> None:
    organization = make_organization()
    ready = threading.Barrier(2)
    states: list[str] = []

    def submit() -> None:
        try:
            ready.wait(60)
            states.append(receive(organization, Channel.FORM, "name=Ada&email=ada%40analytical.example").state)
        finally:
            connection.close()

    threads = [threading.Thread(target=submit) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert states == [SubmissionState.PROCESSED] * 2
    assert Lead.objects.get().submissions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_raw_submission_is_committed_before_it_is_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def look(*args: object, **kwargs: object) -> None:
        def count() -> None:
            seen.append(Submission.objects.filter(received_at__lte=timezone.now()).exists())
            connection.close()

        other = threading.Thread(target=count)
        other.start()
        other.join(60)

    monkeypatch.setattr(intake, "_process", look)
    intake.receive(make_organization(), Channel.FORM, "name=Ada")
    assert seen == [True]


@pytest.mark.django_db
def test_lead_that_appears_between_looking_and_writing_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite lets writers in one by one; PostgreSQL does not."""
    organization = make_organization()
    known = make_lead(organization)
    look, looks = leads._locked_by_email, []

    def too_early(*args: Any) -> Any:
        looks.append(1)
        return look(*args) if len(looks) > 1 else None

    monkeypatch.setattr(leads, "_locked_by_email", too_early)
    submission = receive(organization, Channel.FORM, "name=Ada&email=ada%40analytical.example")
    assert (submission.lead, submission.answer_status) == (known, 200)


@pytest.mark.django_db(transaction=True)
def test_submission_cannot_be_stored_inside_a_transaction_that_may_roll_back() -> None:
    organization = make_organization()
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        receive(organization, Channel.FORM, "name=Ada&email=ada%40analytical.example")
