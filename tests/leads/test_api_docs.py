"""`/api/docs/` and `/api/openapi.json` tell what the API does; the examples work as they are pasted."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from django import forms
from django.test import Client

from config.dev.run import _welcome
from leads.models import Lead, Submission
from leads.validation import ApiLeadForm

from .described import ANSWERS, SCHEMAS
from .people import make_key, make_organization

pastes = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="the examples are for bash and curl"
)


def page_at(address: str) -> str:
    return Client().get("/api/docs/", headers={"Host": address.partition("//")[2]}).content.decode()


def example_of(page: str) -> str:
    (found,) = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    return html.unescape(found)


def paste(command: str) -> dict[str, Any]:
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "not found" not in ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


@pastes
def test_pasted_example_sends_a_lead_again_and_again(live_server: Any) -> None:
    _key, secret = make_key(make_organization())
    command = example_of(page_at(live_server.url)).replace("esk_…", secret)
    first = paste(command)
    second = paste(command)
    other = paste(command.replace("Ada Lovelace", "Ada King"))
    assert first["created"] is True
    assert (second["id"], second["created"]) == (first["id"], False)
    assert (other["id"], other["created"]) == (first["id"], False)
    assert Lead.objects.count() == 1
    keys = set(Submission.objects.values_list("idempotency_key", flat=True))
    assert len(keys) == 3
    assert all(keys)


@pastes
def test_example_that_make_run_prints_sends_a_lead(live_server: Any) -> None:
    _key, secret = make_key(make_organization())
    text = _welcome(live_server.url, {"form": "/forms/acme/", "api_key": secret})
    (command,) = re.findall(r"^ +(curl .*?/api/leads/)$", text, re.DOTALL | re.MULTILINE)
    assert paste(command)["created"] is True
    assert Submission.objects.get().idempotency_key


def test_description_names_every_field_with_its_limit() -> None:
    form = {
        name: getattr(field, "max_length", None) if name != "currency" else None
        for name, field in ApiLeadForm.base_fields.items()
    }
    described = {name: field.get("maxLength") for name, field in SCHEMAS["Lead"]["properties"].items()}
    assert described == form
    required = {name for name, field in ApiLeadForm.base_fields.items() if field.required}
    assert set(SCHEMAS["Lead"]["required"]) == required
    choices = {
        name: [value for value, _label in field.choices if value]
        for name, field in ApiLeadForm.base_fields.items()
        if isinstance(field, forms.ChoiceField)
    }
    assert {name: SCHEMAS["Lead"]["properties"][name]["enum"] for name in choices} == choices


def test_every_reference_of_the_description_leads_somewhere(client: Client) -> None:
    text = client.get("/api/openapi.json").content.decode()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named == set(SCHEMAS) == {"Lead", "Accepted", "Stored", "Error"}


def test_page_shows_every_answer_and_every_field(client: Client) -> None:
    assert set(ANSWERS) == {"200", "201", "202", "400", "401", "405", "409", "413", "415", "422", "429"}
    page = client.get("/api/docs/").content.decode()
    for status in ANSWERS:
        assert f"<code>{status}</code>" in page
    rows = re.findall(r"<td><code>(.*?)</code></td>\s*<td>(.*?)</td>", page)
    shown = dict(rows)
    assert set(SCHEMAS["Lead"]["properties"]) <= set(shown)
    assert shown["name"] == "string ≤ 200 (required)"
    assert shown["value"] == "string | number"
    assert "wrong_key" in shown["error.code"]
    assert {"error.message", "error.fields"} <= set(shown)
    assert "Retry-After" in page
    assert "//cdn" not in page
    assert "<script" not in page
