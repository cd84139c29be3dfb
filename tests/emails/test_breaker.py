"""The breaker of the mail service: an outage counts, and nothing that is about one mail or one address."""

from __future__ import annotations

from typing import Any

import pytest

from emails import services
from emails.tasks import MAIL_SERVICE, send_welcome
from emails.transport.connections import held_connections
from jobs.clock import new_id
from jobs.history.providers import calls_by_provider
from jobs.work.execution import execute
from tests.each_broker import claim

from .provider_server import DROP, Answer, ProviderServer, use_provider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("name", "fault", "counts", "outcome"),
    [
        ("resend", Answer(422, '{"name": "validation_error", "message": "Invalid `to` field."}'), False, "refused"),
        ("resend", Answer(429, headers={"Retry-After": "7"}), False, "slowed"),
        ("resend", Answer(401, '{"name": "invalid_api_key"}'), False, "refused"),
        ("resend", Answer(503), True, "failed"),
        ("resend", DROP, True, "failed"),
        # it may have gone out, and this service would not know it again: the job ends, and counts
        ("sendgrid", DROP, True, "failed"),
    ],
    ids=["invalid-address", "too-many", "key", "503", "lost", "lost-for-good"],
)
def test_only_an_outage_counts(settings: Any, name: str, fault: Any, counts: bool, outcome: str) -> None:
    with ProviderServer() as server:
        use_provider(settings, name, server.url)
        server.fault = lambda number: fault
        services.send_welcome_email("mia@example.org", name="Mia")
        (job,) = claim("email")
        settlement = execute(job, send_welcome.queue, new_id())
        held_connections.close()
    assert settlement is not None
    assert calls_by_provider()[name].by_outcome == {outcome: 1}
    assert getattr(settlement.outcome, "counts_for", ()) == ((MAIL_SERVICE.name,) if counts else ())
