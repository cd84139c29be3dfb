"""The breaker of the mail service: an outage counts, and nothing that is about one mail or one address."""

from __future__ import annotations

from typing import Any

import pytest

from emails import services
from emails.tasks import MAIL_SERVICE, send_welcome
from emails.transport.connections import held_connections
from jobs.clock import new_id
from jobs.work.execution import execute
from tests.each_broker import claim

from .provider_server import DROP, Answer, ProviderServer, use_provider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("name", "fault", "counts"),
    [
        ("resend", Answer(422, '{"name": "validation_error", "message": "Invalid `to` field."}'), False),
        ("resend", Answer(429, headers={"Retry-After": "7"}), False),
        ("resend", Answer(401, '{"name": "invalid_api_key"}'), False),
        ("resend", Answer(503), True),
        ("resend", DROP, True),
        # it may have gone out, and this service would not know it again: the job ends, and counts
        ("sendgrid", DROP, True),
    ],
    ids=["invalid-address", "too-many", "key", "503", "lost", "lost-for-good"],
)
def test_only_an_outage_counts(settings: Any, name: str, fault: Any, counts: bool) -> None:
    with ProviderServer() as server:
        use_provider(settings, name, server.url)
        server.fault = lambda number: fault
        services.send_welcome_email("mia@example.org", name="Mia")
        (job,) = claim("email")
        settlement = execute(job, send_welcome.queue, new_id())
        held_connections.close()
    assert settlement is not None
    assert getattr(settlement.outcome, "counts_for", ()) == ((MAIL_SERVICE.name,) if counts else ())
