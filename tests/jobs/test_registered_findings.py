"""What an app finds stands in `jobs status` beside what the engine finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs import Finding, InvalidOption, register_findings
from jobs.history.status import registered
from jobs.history.status.report import report

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "_registered", {})


def tell() -> Iterator[Finding]:
    yield Finding("shop_closed", "", "The shop is closed: open it.")


def fail() -> list[Finding]:
    raise ZeroDivisionError("with details that are for the log")


def test_what_an_app_registered_is_found_and_fails_the_check() -> None:
    register_findings("shop", tell)
    output = StringIO()
    with pytest.raises(CommandError) as ended:
        call_command("jobs", "status", "--json", "--check", stdout=output)
    assert ended.value.returncode == 1
    told = {found["code"]: found["text"] for found in json.loads(output.getvalue())["findings"]}
    assert told["shop_closed"] == "The shop is closed: open it."


def test_function_that_raises_is_a_finding_and_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    register_findings("till", fail)
    register_findings("shop", tell)
    found = {finding.code: finding for finding in report().findings}
    assert "shop_closed" in found
    assert "till" in found["findings_failed"].text
    assert found["findings_failed"].needs_person
    assert "details" not in found["findings_failed"].text
    assert "with details that are for the log" in caplog.text


def test_second_function_of_one_name_is_refused_and_a_repetition_is_not() -> None:
    register_findings("shop", tell)
    register_findings("shop", tell)
    with pytest.raises(InvalidOption, match="'shop'"):
        register_findings("shop", fail)
