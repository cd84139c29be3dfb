"""Connections to a mail server or service: held for the next mail, given up when idle, safe with threads and forks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from emails import transport
from emails.composing import Composed
from emails.models import EmailMessage
from emails.transport import smtp
from emails.transport.connections import Connections, held_connections

from .mail_server import DRIP, DROP, Behaviour, MailServer, use_mail_server
from .provider_server import ProviderServer, use_provider


def send(to: str = "mia@example.org") -> transport.Sent:
    message = EmailMessage(kind=EmailMessage.Kind.WELCOME, to=to)
    return transport.way_out().send(message, Composed(subject="Hello", text="Hello\n", html="<p>Hello</p>", headers={}))


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _none_held() -> Iterator[None]:
    held_connections.close()
    yield
    held_connections.close()


@pytest.fixture
def long_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under load seconds go by between two mails."""
    monkeypatch.setattr(held_connections, "idle", 60.0)


@pytest.fixture(params=["resend", "sendgrid", "smtp"])
def other_side(request: pytest.FixtureRequest, settings: Any) -> Iterator[Any]:
    """A mail server or service, with `connections` and how many mails it has."""
    if request.param == "smtp":
        with MailServer() as mail_server:
            use_mail_server(settings, mail_server.port)
            yield lambda: (mail_server.behaviour.connections, len(mail_server.kept))
        return
    with ProviderServer() as server:
        use_provider(settings, request.param, server.url)
        yield lambda: (server.connections, len(server.taken))


@pytest.mark.usefixtures("long_idle")
def test_next_mails_go_over_the_same_connection(other_side: Any) -> None:
    for _ in range(3):
        send()
    assert other_side() == (1, 3)


@pytest.mark.usefixtures("long_idle")
def test_threads_have_a_connection_each_and_never_the_same_at_once(other_side: Any) -> None:
    barrier = threading.Barrier(4)

    def work(_number: int) -> None:
        barrier.wait(60)
        for _ in range(5):
            send()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    connections, mails = other_side()
    assert mails == 20
    assert connections <= 4


@pytest.mark.usefixtures("long_idle")
def test_connection_ends_after_so_many_mails(other_side: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_connections, "most_uses", 2)
    for _ in range(5):
        send()
    assert other_side() == (3, 5)


def test_idle_connection_is_closed_by_itself(other_side: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_connections, "idle", 0.1)
    send()
    wait_until(lambda: len(held_connections) == 0)
    send()
    assert other_side() == (2, 2)


@pytest.mark.usefixtures("long_idle")
def test_connection_to_other_settings_is_another_one(settings: Any) -> None:
    with ProviderServer() as first, ProviderServer() as second:
        for server in (first, second, first):
            use_provider(settings, "resend", server.url)
            send()
        assert (first.connections, second.connections) == (1, 1)
        held_connections.close()


@pytest.mark.usefixtures("long_idle")
@pytest.mark.parametrize("name", ["resend", "sendgrid"])
def test_connection_that_the_service_closed_is_opened_anew_and_nothing_is_unclear(settings: Any, name: str) -> None:
    with ProviderServer() as server:
        use_provider(settings, name, server.url)
        for number in range(1, 4):
            send()
            assert (server.connections, len(server.taken)) == (number, number)
            server.close_connections()
            wait_until(lambda: not server._open)
        held_connections.close()


@pytest.mark.usefixtures("long_idle")
def test_connection_that_the_mail_server_closed_is_opened_anew_and_nothing_is_unclear(settings: Any) -> None:
    with MailServer() as server:
        use_mail_server(settings, server.port)
        send()
        [held] = held_connections._free
        # as a server does that has waited long enough
        server.behaviour.faults = lambda step, to: DROP if step == "data" else None
        with pytest.raises(transport.TryLater):
            send()
        server.behaviour.faults = lambda step, to: None
        assert held.backend.connection is None
        send()
        assert len(server.kept) == 2


@pytest.mark.usefixtures("long_idle")
def test_mail_server_that_answers_no_more_on_a_held_connection_is_asked_over_another(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MailServer(Behaviour()) as server:
        use_mail_server(settings, server.port)
        send()
        [held] = held_connections._free
        held.backend.connection.sock.shutdown(2)
        send()
        assert (server.behaviour.connections, len(server.kept)) == (2, 2)


@pytest.mark.usefixtures("long_idle")
def test_refusal_leaves_no_half_mail_behind_for_the_next(settings: Any) -> None:
    refuse = Behaviour(faults=lambda step, to: "550 no such user" if (step, to) == ("rcpt", "no@example.org") else None)
    with MailServer(refuse) as server:
        use_mail_server(settings, server.port)
        for to in ("a@example.org", "no@example.org", "b@example.org"):
            if to == "no@example.org":
                with pytest.raises(transport.Refused):
                    send(to)
            else:
                send(to)
        assert [kept.to for kept in server.kept] == ["a@example.org", "b@example.org"]


@pytest.mark.usefixtures("long_idle")
def test_forked_process_uses_a_connection_of_its_own_and_leaves_its_parents_alone(other_side: Any) -> None:
    send()
    child = os.fork()
    if child == 0:
        try:
            assert len(held_connections) == 0
            send()
            held_connections.close()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    send()
    assert other_side() == (2, 3)


@pytest.mark.parametrize("step", ["greet", "mail", "end"])
def test_mail_server_that_drips_holds_nobody_for_long(
    settings: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(smtp, "WHOLE_TIMEOUT", 2.0)
    with MailServer(Behaviour(faults=lambda now, to: DRIP if now == step else None)) as server:
        use_mail_server(settings, server.port)
        began = time.monotonic()
        with pytest.raises(transport.Unclear if step == "end" else transport.TryLater):
            send()
        assert time.monotonic() - began < 20


def test_what_is_lent_is_not_lent_again_before_it_is_back() -> None:
    class Backend:
        def close(self) -> None:
            pass

    connections = Connections(idle=60)
    free = {"open_it": lambda backend: None, "is_alive": lambda backend: True, "close": Backend.close}
    first, second = Backend(), Backend()
    with connections.lend(first, **free) as one, connections.lend(second, **free) as two:
        assert (one, two) == (first, second)
    with connections.lend(Backend(), **free) as again:
        assert again in (first, second)
    with pytest.raises(KeyError), connections.lend(Backend(), **free) as broken:
        raise KeyError
    assert broken not in [held.backend for held in connections._free]
