"""Mail services: each answer, each silence, and each moment at which the connection ends, is one outcome."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emails import transport
from emails.composing import Composed
from emails.models import EmailMessage
from emails.transport import exchange
from emails.transport.connections import held_connections
from tests.ports import free_port

from .provider_server import (
    DROP,
    HALF_READ,
    TAKE_AND_DRIP,
    TAKE_AND_DROP,
    TAKE_AND_HANG,
    TAKE_AND_MUMBLE,
    Answer,
    ProviderServer,
    use_provider,
)

PROVIDERS = ("resend", "sendgrid")
#: What each of the outcomes of a mail is here.
LATER, AWAY, REFUSED = transport.TryLater, transport.Away, transport.Refused
OURS, UNCLEAR = transport.Misconfigured, transport.Unclear


def mail_to(to: str = "mia@example.org") -> EmailMessage:
    return EmailMessage(kind=EmailMessage.Kind.WELCOME, to=to)


def a_mail(**fields: Any) -> Composed:
    headers = {"List-Unsubscribe": "<https://site.example/u/>"}
    return Composed(subject="Grüße", text="Hello\n", html="<p>Hello</p>", headers=headers, **fields)


@pytest.fixture(params=PROVIDERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(settings: Any, name: str) -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        use_provider(settings, name, server.url)
        yield server
        held_connections.close()


def fail_with(server: ProviderServer, fault: Answer | str) -> None:
    server.fault = lambda number: fault


def test_mail_is_handed_over_with_all_that_it_has(server: ProviderServer, name: str) -> None:
    message = mail_to()
    sent = transport.way_out().send(message, a_mail(sender="Acme <acme@example.org>", reply_to="sales@acme.example"))
    [taken] = server.taken
    assert (sent.receipt, sent.recorded, taken.mail_id) == (taken.id, False, str(message.id))
    _path, headers, content = server.requests[0]
    assert headers["authorization"] == "Bearer key-of-the-test"
    told = str(content)
    for part in ("Grüße", "Hello", "<p>Hello</p>", "acme@example.org", "sales@acme.example", "mia@example.org"):
        assert part in told
    assert content["headers"]["List-Unsubscribe"] == "<https://site.example/u/>"


def test_key_is_the_settings_and_not_the_machines(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    transport.way_out().send(mail_to(), a_mail())
    assert server.requests[0][1]["authorization"] == "Bearer key-of-the-test"


def test_way_out_is_named_and_says_whether_it_knows_a_repetition(server: ProviderServer, name: str) -> None:
    way = transport.way_out()
    assert (way.name, way.recognises_repetition) == (name, name == "resend")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Answer(429, headers={"Retry-After": "7"}), LATER),
        (Answer(500), AWAY),
        (Answer(503), AWAY),
        (Answer(408), AWAY),
        (Answer(502), UNCLEAR),
        (Answer(504), UNCLEAR),
        (Answer(401, '{"name": "invalid_api_key"}'), OURS),
        (Answer(403, '{"name": "validation_error"}'), OURS),
        (Answer(404), OURS),
        (Answer(302, headers={"Location": "http://127.0.0.1:1/"}), OURS),
        (Answer(400, "not json"), REFUSED),
        (Answer(422, '{"name": "validation_error", "message": "Invalid `to` field."}'), REFUSED),
        (Answer(413), REFUSED),
        (DROP, UNCLEAR),
        (TAKE_AND_DROP, UNCLEAR),
        (TAKE_AND_MUMBLE, None),
    ],
    ids=str,
)
def test_outcome_is_what_the_service_answered(
    server: ProviderServer, name: str, fault: Answer | str, outcome: type[Exception] | None
) -> None:
    fail_with(server, fault)
    if outcome is None and name == "sendgrid":
        # it answers with a status alone: what stands below it does not matter
        assert transport.way_out().send(mail_to(), a_mail()).receipt
        return
    with pytest.raises(transport.NotSent) as ended:
        transport.way_out().send(mail_to(), a_mail())
    assert type(ended.value) is (outcome or UNCLEAR)
    if isinstance(ended.value, transport.Unclear):
        assert ended.value.repeatable is (name == "resend")
    assert "key-of-the-test" not in str(ended.value)


def test_rate_limit_names_its_seconds_and_asks_all_mail_to_wait(server: ProviderServer) -> None:
    fail_with(server, Answer(429, headers={"Retry-After": "7"}))
    with pytest.raises(transport.TryLater) as ended:
        transport.way_out().send(mail_to(), a_mail())
    assert (ended.value.retry_after, ended.value.whole_queue) == (7, True)


def test_sender_that_the_service_does_not_take_is_a_setting_to_mend(server: ProviderServer, name: str) -> None:
    said = {
        "resend": '{"name": "invalid_from_address", "message": "…"}',
        "sendgrid": '{"errors": [{"field": "from.email", "message": "…"}]}',
    }
    fail_with(server, Answer(422 if name == "resend" else 400, said[name]))
    with pytest.raises(transport.Misconfigured, match="DEFAULT_FROM_EMAIL"):
        transport.way_out().send(mail_to(), a_mail())


def test_request_of_which_the_service_got_a_part_was_not_sent(server: ProviderServer) -> None:
    fail_with(server, HALF_READ)
    # more than the sockets' buffers hold, so that it is cut while it goes out
    long = Composed(subject="Hello", text="x" * 20_000_000, html="<p></p>", headers={})
    with pytest.raises(transport.TryLater):
        transport.way_out().send(mail_to(), long)
    assert server.taken == []


def test_service_that_is_away_is_asked_later(settings: Any, name: str) -> None:
    use_provider(settings, name, f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(transport.TryLater, match="was not reached"):
        transport.way_out().send(mail_to(), a_mail())


@pytest.mark.parametrize("fault", [TAKE_AND_HANG, TAKE_AND_DRIP])
def test_answer_that_does_not_come_to_an_end_holds_nobody_for_long(
    server: ProviderServer, name: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(exchange.BoundedSession.__init__, "__defaults__", (2.0,))
    fail_with(server, fault)
    began = time.monotonic()
    if (name, fault) == ("sendgrid", TAKE_AND_DRIP):
        # its status alone says that it took the mail, and has come
        assert transport.way_out().send(mail_to(), a_mail()).receipt
    else:
        with pytest.raises(transport.Unclear):
            transport.way_out().send(mail_to(), a_mail())
    assert time.monotonic() - began < 20


def test_what_is_no_address_is_refused_before_anybody_is_asked(server: ProviderServer) -> None:
    with pytest.raises(transport.Refused):
        transport.way_out().send(mail_to("no address"), a_mail())
    assert server.requests == []


def test_sender_that_is_no_address_is_a_setting(server: ProviderServer, settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "nobody"
    with pytest.raises(transport.Misconfigured):
        transport.way_out().send(mail_to(), a_mail())


@pytest.mark.parametrize("name", ["resend"])
def test_another_try_carries_the_same_key_and_sends_nothing_twice(server: ProviderServer) -> None:
    server.fault = lambda number: TAKE_AND_DROP if number == 1 else None
    message = mail_to()
    with pytest.raises(transport.Unclear):
        transport.way_out().send(message, a_mail())
    sent = transport.way_out().send(message, a_mail())
    assert [taken.id for taken in server.taken] == [sent.receipt]
    assert {headers["idempotency-key"] for _path, headers, _content in server.requests} == {str(message.id)}


@pytest.mark.parametrize("name", ["resend"])
def test_another_try_with_another_text_is_unclear_for_good(server: ProviderServer) -> None:
    message = mail_to()
    transport.way_out().send(message, a_mail())
    with pytest.raises(transport.Unclear) as ended:
        transport.way_out().send(message, a_mail(reply_to="other@example.org"))
    assert not ended.value.repeatable
    assert len(server.taken) == 1


@pytest.mark.parametrize("name", ["resend"])
def test_try_that_the_service_is_still_busy_with_is_repeated(server: ProviderServer) -> None:
    fail_with(server, Answer(409, '{"name": "concurrent_idempotent_requests"}'))
    with pytest.raises(transport.Unclear) as ended:
        transport.way_out().send(mail_to(), a_mail())
    assert ended.value.repeatable


def test_service_that_is_unproven_is_spoken_to_by_anymail(settings: Any) -> None:
    with ProviderServer(lambda number: Answer(422, '{"ErrorCode": 300}')) as server:
        use_provider(settings, "postmark", server.url)
        with pytest.raises(transport.Refused):
            transport.way_out().send(mail_to(), a_mail())
        assert server.requests[0][2]["Metadata"]["mail"]
    held_connections.close()
