"""The way out: each answer of a mail server, and each moment at which it falls silent, is one outcome."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import checks

from config.settings.env import mail_settings
from emails import transport
from emails.checks import check_way_out
from emails.composing import Composed
from emails.models import EmailMessage
from tests.ports import free_port

from .mail_server import DROP, KEEP_AND_DROP, KEEP_AND_HANG, Behaviour, MailServer, use_mail_server


def mail_to(to: str) -> EmailMessage:
    return EmailMessage(kind=EmailMessage.Kind.WELCOME, to=to)


def a_mail(text: str = "Hello\n", **fields: Any) -> Composed:
    return Composed(subject="Grüße", text=text, html="<p>Hello</p>", headers={}, **fields)


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    with MailServer() as server:
        use_mail_server(settings, server.port)
        yield server


def test_mail_is_handed_over_as_it_was_written(server: MailServer) -> None:
    message = mail_to("mia@example.org")
    text = "A line\n.\n..two dots\nFrom here on: straße\n" + "x" * 1_200 + "\n"
    sent = transport.way_out().send(
        message, a_mail(text, sender="Ädäm <adam@example.org>", reply_to="Sales <sales@example.org>")
    )
    [kept] = server.kept
    letter = email.message_from_bytes(kept.content, policy=email.policy.default)
    assert (kept.sender, kept.to) == ("adam@example.org", "mia@example.org")
    assert (letter["Subject"], letter["From"], letter["Reply-To"]) == (
        "Grüße",
        "Ädäm <adam@example.org>",
        "Sales <sales@example.org>",
    )
    assert letter.get_body(("plain",)).get_content().replace("\r\n", "\n") == text
    assert letter.get_body(("html",)).get_content().strip() == "<p>Hello</p>"
    assert kept.content.isascii()
    assert max(map(len, kept.content.splitlines())) < 1_000
    assert (sent.receipt, sent.recorded) == (kept.message_id, False)
    assert str(message.id) in sent.receipt


@pytest.mark.parametrize(
    ("step", "fault", "outcome", "is_kept"),
    [
        ("greet", "421 4.3.2 not now", transport.Away, False),
        ("greet", "554 5.7.1 we do not know you", transport.Misconfigured, False),
        ("greet", DROP, transport.Away, False),
        ("ehlo", DROP, transport.Away, False),
        ("mail", "451 4.3.0 later", transport.Away, False),
        ("mail", "530 5.7.0 sign in", transport.Misconfigured, False),
        ("mail", "550 5.7.1 not your address", transport.Misconfigured, False),
        ("mail", "552 5.3.4 too large", transport.Refused, False),
        ("rcpt", "450 4.2.0 greylisted", transport.TryLater, False),
        ("rcpt", "530 5.7.0 sign in", transport.Misconfigured, False),
        ("rcpt", "550 5.1.1 no such user", transport.Refused, False),
        ("rcpt", "what?", transport.TryLater, False),
        ("rcpt", DROP, transport.Away, False),
        ("data", "451 4.3.0 later", transport.TryLater, False),
        ("data", "554 5.5.1 no", transport.Refused, False),
        ("data", DROP, transport.Away, False),
        ("content", DROP, transport.Away, False),
        ("end", "451 4.3.0 disk full", transport.TryLater, False),
        ("end", "554 5.6.0 spam", transport.Refused, False),
        ("end", "what?", transport.Unclear, False),
        ("end", DROP, transport.Unclear, False),
        ("end", KEEP_AND_DROP, transport.Unclear, True),
        ("end", KEEP_AND_HANG, transport.Unclear, True),
        ("quit", DROP, None, True),
        ("quit", "451 never", None, True),
    ],
)
def test_outcome_is_what_the_server_said_or_how_far_the_mail_had_come(
    settings: Any, step: str, fault: str, outcome: type[Exception] | None, is_kept: bool
) -> None:
    faults = {step: fault}
    with MailServer(Behaviour(faults=lambda name, to: faults.get(name))) as server:
        use_mail_server(settings, server.port, timeout=1)
        # longer than what the sockets between the two hold: a cut in the middle of it is felt
        composed = a_mail("x" * 70 + "\n" + ("y" * 70 + "\n") * 150_000 if step == "content" else "Hello\n")
        if outcome is None:
            transport.way_out().send(mail_to("mia@example.org"), composed)
        else:
            with pytest.raises(transport.NotSent) as raised:
                transport.way_out().send(mail_to("mia@example.org"), composed)
            assert type(raised.value) is outcome
        assert len(server.kept) == is_kept


def test_server_that_is_away_is_asked_later(settings: Any) -> None:
    use_mail_server(settings, free_port())
    with pytest.raises(transport.TryLater, match="ConnectionRefusedError"):
        transport.way_out().send(mail_to("mia@example.org"), a_mail())


def test_wrong_password_and_missing_encryption_are_our_settings(settings: Any) -> None:
    with MailServer(Behaviour(extensions=("AUTH PLAIN",))) as server:
        use_mail_server(settings, server.port, username="mia", password="wrong")
        with pytest.raises(transport.Misconfigured, match="535"):
            transport.way_out().send(mail_to("mia@example.org"), a_mail())
    with MailServer(Behaviour(extensions=("AUTH GSSAPI",))) as server:
        use_mail_server(settings, server.port, username="mia", password="right")
        with pytest.raises(transport.Misconfigured):
            transport.way_out().send(mail_to("mia@example.org"), a_mail())
        use_mail_server(settings, server.port, use_tls=True)
        with pytest.raises(transport.Misconfigured, match="STARTTLS"):
            transport.way_out().send(mail_to("mia@example.org"), a_mail())


def test_domain_in_other_letters_is_written_to_by_todays_rules(server: MailServer) -> None:
    transport.way_out().send(mail_to("mia@straße.example"), a_mail())
    assert server.kept[0].to == "mia@xn--strae-oqa.example"


def test_local_part_in_other_letters_is_refused_where_the_server_cannot_write_it(server: MailServer) -> None:
    with pytest.raises(transport.Refused, match="SMTPUTF8"):
        transport.way_out().send(mail_to("müller@example.org"), a_mail())
    assert server.kept == []


def test_local_part_in_other_letters_is_written_to_where_the_server_can(settings: Any) -> None:
    with MailServer(Behaviour(extensions=("8BITMIME", "SMTPUTF8"))) as server:
        use_mail_server(settings, server.port)
        transport.way_out().send(mail_to("müller@straße.example"), a_mail())
        [kept] = server.kept
        assert kept.to == "müller@xn--strae-oqa.example"
        assert any(command.upper().startswith("MAIL") and "SMTPUTF8" in command for command in server.behaviour.heard)
        assert b"To: m\xc3\xbcller@xn--strae-oqa.example" in kept.content


@pytest.mark.parametrize("to", ["", "no address", "a@b@c", "mia@example.org\r\nBcc: x@example.org", "@example.org"])
def test_what_is_no_address_is_refused_before_anybody_is_asked(server: MailServer, to: str) -> None:
    with pytest.raises(transport.Refused):
        transport.way_out().send(mail_to(to), a_mail())
    assert server.behaviour.connections == 0


@pytest.mark.parametrize("to", ["root@localhost", "mia@intranet.local", "mia@[192.0.2.1]", '"mia m"@example.org'])
def test_address_that_only_the_mail_server_can_judge_goes_to_it(server: MailServer, settings: Any, to: str) -> None:
    settings.DEFAULT_FROM_EMAIL = "Esteira <no-reply@localhost>"  # as a site that is not set up has it
    transport.way_out().send(mail_to(to), a_mail())
    assert (server.kept[0].sender, server.kept[0].to) == ("no-reply@localhost", to)


def test_sender_that_is_no_address_is_a_setting_to_mend(server: MailServer, settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "nobody"
    with pytest.raises(transport.Misconfigured, match="DEFAULT_FROM_EMAIL"):
        transport.way_out().send(mail_to("mia@example.org"), a_mail())


def test_header_with_a_line_break_is_refused(server: MailServer) -> None:
    composed = Composed("s", "t", "h", {"List-Unsubscribe": "<x>\r\nBcc: victim@example.org"})
    with pytest.raises(transport.Refused):
        transport.way_out().send(mail_to("mia@example.org"), composed)
    assert server.kept == []


@pytest.mark.parametrize("to", ["mia@example.org", "müller@example.org"])
@pytest.mark.parametrize("kind", ["filebased", "locmem"])
def test_mail_that_is_only_written_down_says_so(settings: Any, tmp_path: Any, kind: str, to: str) -> None:
    options = {"file_path": str(tmp_path)} if kind == "filebased" else {}
    backend = {"BACKEND": f"django.core.mail.backends.{kind}.EmailBackend", "OPTIONS": options}
    for name, value in mail_settings(backend).items():
        setattr(settings, name, value)
    assert transport.way_out().send(mail_to(to), a_mail()).recorded


def test_check_of_a_deployment_warns_where_no_mail_leaves(settings: Any) -> None:
    use_mail_server(settings, 25)
    assert check_way_out() == []
    backend = {"BACKEND": "django.core.mail.backends.filebased.EmailBackend", "OPTIONS": {"file_path": "/tmp/mail"}}
    for name, value in mail_settings(backend).items():
        setattr(settings, name, value)
    assert [message.id for message in check_way_out()] == ["emails.W001"]
    assert check_way_out in checks.registry.registry.get_checks(include_deployment_checks=True)
    assert check_way_out not in checks.registry.registry.get_checks()
