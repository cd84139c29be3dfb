"""Whatever bytes arrive, the answer is a clear 400 or a stored lead: never a 500, never a 202 that cannot succeed.

Each database has its own words for what it cannot store: CI runs the suite on both.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpResponse
from django.test import Client

from jobs.testing import run_jobs
from leads.models import Lead, Submission, SubmissionState
from leads.validation import MOST_ERRORS, ApiLeadForm

from .people import make_key, make_organization

HALF = "\\ud83d"  # as JSON writes the first half of an emoji
LEAD = {"name": "Ada", "email": "ada@analytical.example"}


def post(body: bytes | str, slug: str = "acme", **extra: Any) -> HttpResponse:
    organization = make_organization(slug)
    _key, secret = make_key(organization)
    extra.setdefault("content_type", "application/json")
    headers = {"Authorization": f"Bearer {secret}", **extra.pop("headers", {})}
    # not `post`, which would write the bytes anew
    return Client(raise_request_exception=False).generic("POST", "/api/leads/", body, headers=headers, **extra)


def with_field(name: str, value: str) -> str:
    """A valid body with one field more, both as JSON writes them."""
    known = {key: text for key, text in LEAD.items() if key != name}
    return json.dumps(known)[:-1] + f', "{name}": {value}}}'


def assert_settled(response: HttpResponse) -> None:
    """It was refused with a reason, or is a lead; nothing is left for a job."""
    submission = Submission.objects.get()
    assert submission.body
    assert response.status_code in {200, 201, 400}
    if response.status_code == 400:
        assert submission.state == SubmissionState.INVALID
        assert json.loads(response.content)["error"]["fields"]
        assert not Lead.objects.exists()
    else:
        assert (submission.state, Lead.objects.count()) == (SubmissionState.PROCESSED, 1)
    run_jobs(include_scheduled=True)


@pytest.mark.parametrize("value", [f'"a{HALF}b"', '"a\\u0000b"', '"\\udc00\\ud800"'])
def test_text_that_no_database_stores_is_refused_in_any_field(transactional_db: None, value: str) -> None:
    for field in sorted(ApiLeadForm.base_fields):
        Submission.objects.all().delete()
        response = post(with_field(field, value), slug=field)
        assert_settled(response)
        assert (response.status_code, list(response.json()["error"]["fields"])) == (400, [field])


def test_whole_emoji_is_stored(transactional_db: None) -> None:
    response = post(with_field("message", f'"{HALF}\\ude00"'))
    assert (response.status_code, Lead.objects.get().message) == (201, "😀")


@pytest.mark.parametrize(
    "body",
    [
        '{"\\u0000": 1}',
        f'{{"{HALF}": 1}}',
        with_field("\\u0000", '"x"'),
        with_field(HALF, "null"),
        with_field("x" * 60_000, "1"),
        json.dumps(LEAD | {f"field{number}": 1 for number in range(4_000)}),
        b'{"name": "\xff\xed\xa0\xbd"}',
        b'{"name": "a\x00b"}',
        b"\x00",
        b"\xef\xbb\xbf{}",
        "\ufeff{}".encode("utf-16"),
        b'{"name": "Ada", "email": "ada@analytical.example", "message": "\xc3\x28"}',
        "[" * 60_000,
        '{"name":' * 8_000,
        '{"name": ' + "[" * 30_000 + "]" * 30_000 + "}",
        '{"name": "Ada", "email": "a@b.example", "email": 7}',
        "1" * 60_000,
        '"\\ud83d"',
        "-",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_body_that_is_no_lead_is_refused_and_kept_readable(transactional_db: None, body: bytes | str) -> None:
    response = post(body)
    assert_settled(response)
    assert response.status_code == 400
    assert len(response.json()["error"]["fields"]) <= MOST_ERRORS
    assert len(response.content) < 20_000
    kept = Submission.objects.get().body
    assert "\x00" not in kept
    # whole: what cannot be stored is written longer, not left out
    assert len(kept.encode()) >= len(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", "1e999"),
        ("value", "-1e999"),
        ("value", "9" * 4_000),
        ("value", "9" * 6_000),
        ("value", '"NaN"'),
        ("value", '"sNaN"'),
        ("value", '"Infinity"'),
        ("value", '"1e1000000000"'),
        ("value", '"999999999999.995"'),
        ("value", "1e-400"),
        ("value", '"0e1000000000"'),
        ("value", '"0e-1000000000"'),
        ("value", '"-0"'),
        ("value", '"٣"'),
        ("value", "true"),
        ("currency", '"EUR\\n"'),
        ("currency", '"ＥＵＲ"'),
        ("email", json.dumps("İ" * 63 + "@" + "a" * 60 + "." + "b" * 60 + ".example")),
        ("email", '"ada@analytical.example\\r\\nBcc: x@y.example"'),
        ("email", '"ada@\\u202eanalytical.example"'),
        ("name", json.dumps("ﷺ" * 200)),
        ("name", json.dumps("ΐ" * 200)),
        ("name", '"a\\r\\nb"'),
        ("phone", '"+5511912345678\\u0007"'),
        ("phone", '"+' + "9" * 39 + '"'),
        ("phone", '"tel:+55-11-91234-5678;ext=1"'),
        ("locale", '"../../etc/passwd"'),
        ("locale", '"x-----------------"'),
        ("time_zone", '"/etc/localtime"'),
        ("source", '"api\\n"'),
        ("utm_source", json.dumps("%00" * 60)),
    ],
)
def test_extreme_value_is_refused_or_stored(transactional_db: None, field: str, value: str) -> None:
    assert_settled(post(with_field(field, value)))


@pytest.mark.parametrize("key", ["a\x00b", "a\x7fb", "\x80"])
def test_idempotency_key_that_cannot_be_stored_is_refused(transactional_db: None, key: str) -> None:
    response = post(json.dumps(LEAD), headers={"Idempotency-Key": key})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_idempotency_key")
    assert not Submission.objects.exists()


FORM = "name=Ada&email=ada%40analytical.example"


def post_form(body: bytes | str, content_type: str = "application/x-www-form-urlencoded") -> HttpResponse:
    make_organization()
    return Client(raise_request_exception=False).generic("POST", "/forms/acme/", body, content_type=content_type)


@pytest.mark.parametrize("field", ["name", "email", "phone", "company", "job_title", "message", "utm_source"])
def test_nul_in_a_form_field_is_refused_with_the_form_shown_again(transactional_db: None, field: str) -> None:
    rest = "&".join(pair for pair in FORM.split("&") if not pair.startswith(field))
    response = post_form(f"{rest}&{field}=a%00b")
    assert response.status_code == 400
    assert "<form" in response.content.decode()
    assert Submission.objects.get().state == SubmissionState.INVALID


@pytest.mark.parametrize(
    "bytes_", ["%FF", "%ED%A0%BD", "%C3%28", "%F0%9F%98", quote("😀"), "%E2%80%AE", "%EF%BF%BF", "%"]
)
def test_form_with_any_bytes_is_a_lead(transactional_db: None, bytes_: str) -> None:
    response = post_form(f"{FORM}&message=a{bytes_}b&%ED%A0%BD=x&{bytes_}=1")
    assert (response.status_code, Lead.objects.count()) == (302, 1)


def part(name: str, value: bytes) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"


def parts(**fields: bytes) -> bytes:
    return b"".join(part(name, value) for name, value in fields.items()) + b"--b--\r\n"


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "hex", "idna", "utf-16", "utf-7", "cp037"])
def test_form_in_a_charset_of_no_browser_is_refused(transactional_db: None, charset: str) -> None:
    body = parts(name=b"\\ud83d", email=b"ada@analytical.example")
    response = post_form(body, f"multipart/form-data; boundary=b; charset={charset}")
    assert (response.status_code, Submission.objects.count()) == (400, 0)


def test_form_in_an_old_browsers_charset_is_understood(transactional_db: None) -> None:
    body = parts(name="Érica".encode("latin-1"), email=b"ada@analytical.example")
    response = post_form(body, "multipart/form-data; boundary=b; charset=iso-8859-1")
    assert (response.status_code, Lead.objects.get().name) == (302, "Érica")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--b", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        (part("name", b"\x00\xff"), "multipart/form-data; boundary=b"),
        (b"x" * 1_000, "application/json"),
        (b"&".join(b"a=1" for _ in range(2_000)), "application/x-www-form-urlencoded"),
        (FORM.encode(), "application/x-www-form-urlencoded; charset=utf-16"),
        (FORM.encode(), "application/x-www-form-urlencoded; charset=nonsense"),
    ],
)
def test_broken_form_is_no_server_error(transactional_db: None, body: bytes, content_type: str) -> None:
    assert post_form(body, content_type).status_code in {302, 400, 413}


def test_address_of_the_form_with_any_bytes_is_answered(transactional_db: None) -> None:
    make_organization()
    client = Client(raise_request_exception=False)
    for query in ("utm_source=%00", "utm_source=%ED%A0%BD", "utm_term=" + "x" * 5_000, "%00=%FF"):
        assert client.get(f"/forms/acme/?{query}").status_code == 200
    assert client.get("/forms/%00/").status_code == 404
