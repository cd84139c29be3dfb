"""docs/webhooks.md: the payload is what is sent, and its code verifies what is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Organization
from jobs.testing import JobsRunner
from leads.services import sync_lead_to_crm

from .people import make_lead, make_organization
from .servers import serve

pytestmark = pytest.mark.django_db

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return found


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[dict[str, str], bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    yield from serve(Receiver())


@pytest.fixture
def delivered(receiver: Receiver, jobs_runner: JobsRunner) -> tuple[Organization, dict[str, str], bytes]:
    organization = make_organization(crm_webhook_url=f"http://127.0.0.1:{receiver.server_address[1]}/")
    lead = make_lead(organization, name="Zoë", message="“Olá”")
    sync_lead_to_crm(lead.id, organization.id, custom_fields={"região": "norte"})
    jobs_runner.run()
    return organization, *receiver.received[0]


def test_the_code_of_the_docs_verifies_a_delivery_and_nothing_else(
    delivered: tuple[Organization, dict[str, str], bytes],
) -> None:
    organization, headers, body = delivered
    code: dict[str, Any] = {}
    exec(block("python"), code)
    verified, secret = code["verified"], organization.crm_webhook.secret
    assert verified(secret, headers, body)["data"]["name"] == "Zoë"
    forged = [
        (secret, headers, body.replace(b"acme", b"evil")),
        (secret, {**headers, "webhook-id": "another"}, body),
        (secret, {**headers, "webhook-signature": "v1,"}, body),
        (secret, {}, body),
        ("whsec_" + "QUJD" * 8, headers, body),
    ]
    for one in forged:
        with pytest.raises(ValueError, match="signature|timestamp"):
            verified(*one)
    code["TOLERANCE"] = -1
    with pytest.raises(ValueError, match="timestamp"):
        verified(secret, headers, body)


def test_the_payload_of_the_docs_has_the_fields_that_are_sent(
    delivered: tuple[Organization, dict[str, str], bytes],
) -> None:
    _organization, headers, body = delivered
    sent, told = json.loads(body), json.loads(block("json"))
    assert list(told) == list(sent)
    assert list(told["data"]) == list(sent["data"])
    assert list(told["data"]["utm"]) == list(sent["data"]["utm"])
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        assert name in headers
        assert f"`{name}`" in TEXT
