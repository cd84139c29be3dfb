"""Mail services over TLS, as they are in production: the same outcomes, the same limits."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from emails import transport
from emails.composing import Composed
from emails.models import EmailMessage
from emails.transport import exchange
from emails.transport.connections import held_connections

from .provider_server import TAKE_AND_DRIP, TAKE_AND_DROP, TAKE_AND_HANG, ProviderServer, use_provider


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "cert", folder / "key"


@pytest.fixture
def tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The server's side; the client trusts the certificate."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def send() -> transport.Sent:
    message = EmailMessage(kind=EmailMessage.Kind.WELCOME, to="mia@example.org")
    return transport.way_out().send(message, Composed(subject="Hello", text="Hello", html="<p>Hello</p>", headers={}))


def test_mails_go_over_one_connection(tls: ssl.SSLContext, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_connections, "idle", 60.0)
    with ProviderServer(tls=tls) as server:
        use_provider(settings, "sendgrid", server.url)
        for _ in range(3):
            send()
        assert (len(server.taken), server.connections) == (3, 1)
        server.close_connections()
        send()
        assert (len(server.taken), server.connections) == (4, 2)
        held_connections.close()


@pytest.mark.parametrize("fault", [TAKE_AND_DROP, TAKE_AND_HANG, TAKE_AND_DRIP])
def test_lost_and_endless_answers_are_unclear_in_time(
    tls: ssl.SSLContext, settings: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(exchange.BoundedSession.__init__, "__defaults__", (2.0,))
    with ProviderServer(lambda number: fault, tls=tls) as server:
        use_provider(settings, "resend", server.url)
        began = time.monotonic()
        with pytest.raises(transport.Unclear):
            send()
        assert time.monotonic() - began < 20


def test_handshake_that_does_not_come_holds_nobody_for_long(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange.BoundedSession.__init__, "__defaults__", (0.5,))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_provider(settings, "sendgrid", f"https://127.0.0.1:{silent.getsockname()[1]}/")
        began = time.monotonic()
        with pytest.raises(transport.TryLater):
            send()
        assert time.monotonic() - began < 20


def test_certificate_that_nobody_vouches_for_is_ours_to_mend(
    tls: ssl.SSLContext, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with ProviderServer(tls=tls) as server:
        use_provider(settings, "resend", server.url)
        with pytest.raises(transport.Misconfigured, match="was not reached"):
            send()
        assert server.taken == []
