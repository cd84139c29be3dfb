"""Requests to addresses that customers name: where they may go, how long they take, what is kept of an answer."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from jobs import PermanentError, RetryLater
from leads import outgoing
from leads.outgoing import addresses, connection

#: What a whole request may take in these tests, and what it may be over that on a busy machine.
LIMIT, MARGIN = 1.0, 12.0
OK = b"HTTP/1.1 200 OK\r\n"

Conversation = Callable[[socket.socket], object]


class Peer(threading.Thread):
    """A server of one conversation at a time, which it ends when `over` is set."""

    def __init__(self, converse: Conversation) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.converse = converse
        self.over = threading.Event()
        self.visits = 0

    def run(self) -> None:
        while True:
            try:
                conn, _address = self.listener.accept()
            except OSError:
                return
            self.visits += 1
            with conn, suppress(OSError):  # the other side has hung up
                self.converse(conn)


@pytest.fixture
def serve() -> Iterator[Callable[[Conversation], Peer]]:
    peers: list[Peer] = []

    def start(converse: Conversation) -> Peer:
        peers.append(Peer(converse))
        peers[-1].start()
        return peers[-1]

    yield start
    for peer in peers:
        peer.over.set()
        peer.listener.shutdown(socket.SHUT_RDWR)
        peer.listener.close()
        peer.join(5)


def heard(conn: socket.socket) -> bytes:
    """The whole request."""
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"{}"):
        received += conn.recv(65_536)
    return received


def answering(answer: bytes) -> Conversation:
    def converse(conn: socket.socket) -> None:
        heard(conn)
        conn.sendall(answer)

    return converse


def listening(conn: socket.socket) -> None:
    """Say nothing until the other side hangs up."""
    while conn.recv(65_536):
        pass


def dripping(beginning: bytes, drop: bytes) -> Conversation:
    """Sends one drop every 50 ms until the other side has enough: for ever, if a limit holds for each read alone."""

    def converse(conn: socket.socket) -> None:
        heard(conn)
        conn.sendall(beginning)
        for _drop in range(400):
            time.sleep(0.05)
            conn.sendall(drop)

    return converse


def post(url: str) -> outgoing.Answer:
    return outgoing.post(url, b"{}", {"Content-Type": "application/json"})


@contextmanager
def within(seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TOTAL_TIME", LIMIT)


@pytest.fixture
def public_only(settings: Any) -> None:
    """As in production: no private network is named."""
    settings.OUTGOING_PRIVATE_NETWORKS = []


# Where they may go

PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::7f00:1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "8.8.8.8",
    "100.63.255.255",
    "172.32.0.1",
    "192.0.66.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_reached(public_only: None, address: str) -> None:
    assert not addresses.may_be_reached(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(public_only: None, address: str) -> None:
    assert addresses.may_be_reached(address)


def test_a_named_network_is_reached_and_its_neighbour_is_not(settings: Any) -> None:
    settings.OUTGOING_PRIVATE_NETWORKS = [ip_network("10.1.2.0/24"), ip_network("fd00:1::/64")]
    reached = [
        one
        for one in ("10.1.2.9", "::ffff:10.1.2.9", "fd00:1::7", "10.1.3.1", "fd00:2::7", "127.0.0.1")
        if addresses.may_be_reached(one)
    ]
    assert reached == ["10.1.2.9", "::ffff:10.1.2.9", "fd00:1::7"]


#: Ways to write 127.0.0.1, or a name that stands for it on every machine.
LOOPBACK = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "crm.localhost",
    "１２７.0.0.1",
    "ⓛocalhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_no_request_comes_to_this_machine_however_its_address_is_written(
    public_only: None, serve: Callable[[Conversation], Peer], host: str
) -> None:
    peer = serve(answering(OK + b"Content-Length: 0\r\n\r\n"))
    with pytest.raises(PermanentError, match="unknown or not on the public internet"):
        post(f"http://{host}:{peer.port}/hook")
    assert peer.visits == 0


def says(*answers: str) -> Callable[..., Any]:
    """A name server that changes its mind: what it says the first time, the second time and so on."""
    rest = list(answers)

    def look_up(host: str, port: int | None, **kind: Any) -> list[Any]:
        if kind.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        family = socket.AF_INET6 if ":" in rest[0] else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (rest.pop(0), port, 0, 0)[: 4 if family == socket.AF_INET6 else 2])]

    return look_up


def test_a_name_that_leads_to_a_private_address_is_not_reached(
    public_only: None, serve: Callable[[Conversation], Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = serve(answering(OK + b"Content-Length: 0\r\n\r\n"))
    monkeypatch.setattr(socket, "getaddrinfo", says("127.0.0.1"))
    with pytest.raises(PermanentError, match="unknown or not on the public internet"):
        post(f"http://rebound.example:{peer.port}/hook")
    assert peer.visits == 0


def test_a_name_that_is_bound_anew_after_the_check_is_not_asked_again(
    settings: Any, serve: Callable[[Conversation], Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTGOING_PRIVATE_NETWORKS = [ip_network("127.0.0.2")]
    peer = serve(answering(OK + b"Content-Length: 0\r\n\r\n"))
    # nobody listens on 127.0.0.2, which may be reached; the peer on 127.0.0.1 may not
    monkeypatch.setattr(socket, "getaddrinfo", says("127.0.0.2", "127.0.0.1"))
    with pytest.raises(outgoing.ProviderUnavailable):
        post(f"http://rebound.example:{peer.port}/hook")
    assert peer.visits == 0


def test_what_is_unknown_and_what_is_private_read_the_same(public_only: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(look_up: Callable[..., Any]) -> str:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with pytest.raises(PermanentError) as caught:
            post("https://db.corp.example/")
        return str(caught.value)

    def unknown(*_given: Any, **_kind: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    assert refusal(says("10.0.0.7")) == refusal(unknown)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(serve: Callable[[Conversation], Peer], status: int) -> None:
    inside = serve(answering(OK + b"Content-Length: 0\r\n\r\n"))
    outside = serve(
        answering(f"HTTP/1.1 {status} There\r\nLocation: {inside.url}\r\nContent-Length: 0\r\n\r\n".encode())
    )
    with pytest.raises(PermanentError, match=f"answered {status}"):
        post(outside.url)
    assert (outside.visits, inside.visits) == (1, 0)


def test_no_proxy_of_the_environment_is_asked(
    serve: Callable[[Conversation], Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(answering(OK + b"Content-Length: 0\r\n\r\n"))
    peer = serve(answering(OK + b"Content-Length: 0\r\n\r\n"))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    assert post(peer.url).status == 200
    assert (proxy.visits, peer.visits) == (0, 1)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://crm.example/", "Enter an address like"),
        ("file:///etc/passwd", "Enter an address like"),
        ("https:///leads", "Enter an address like"),
        ("https://crm.example:port/", "Enter an address like"),
        ("https://" + "a" * 70 + ".example/", "Enter an address like"),
        ("https://ada:secret@crm.example/", "must not contain a user name or password"),
        ("https://crm.example@127.0.0.1/", "must not contain a user name or password"),
        ("http://crm.example:25/", "Use port 80, 443 or one above 1023"),
        ("https://crm.example:0/", "Use port 80, 443 or one above 1023"),
    ],
)
def test_an_address_of_the_wrong_form_is_refused_for_good(url: str, sentence: str) -> None:
    with pytest.raises(PermanentError, match=sentence) as caught:
        post(url)
    assert "secret" not in str(caught.value)


def test_a_request_is_what_it_should_be(serve: Callable[[Conversation], Peer]) -> None:
    requests: list[bytes] = []

    def converse(conn: socket.socket) -> None:
        requests.append(heard(conn))
        conn.sendall(OK + b"Content-Length: 4\r\n\r\ndone")

    peer = serve(converse)
    assert outgoing.post(f"{peer.url}/ação?q=a b&x=%20#part", b"{}", {"X-Ours": "1"}) == outgoing.Answer(200, "done")
    head, body = requests[0].split(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /hook/a%C3%A7%C3%A3o?q=a%20b&x=%20 HTTP/1.1"
    assert {f"Host: 127.0.0.1:{peer.port}", "X-Ours: 1", "Content-Length: 2"} <= set(headers)
    assert body == b"{}"


# How long they take, and how much they receive

ENDLESS: dict[str, Conversation] = {
    "says nothing": listening,
    "a status line that drips": dripping(b"HTTP/1.1 200 ", b"O"),
    "headers that drip": dripping(OK + b"X-Long: ", b"a"),
    "headers without end": dripping(OK, b"X: 1\r\n"),
    "100 Continue without end": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_takes_the_whole_time_and_no_more(
    hurried: None, serve: Callable[[Conversation], Peer], name: str
) -> None:
    peer = serve(ENDLESS[name])
    with within(LIMIT + MARGIN), pytest.raises(outgoing.TooSlow):
        post(peer.url)


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TEXT_WITHOUT_END: dict[str, Conversation] = {
    "a chunk's size that drips": dripping(CHUNKED, b"0"),
    "a chunk's extension that drips": dripping(CHUNKED + b"1;", b"x"),
    "a text that never begins": dripping(OK + b"Content-Length: 100000\r\n\r\n", b""),
}


@pytest.mark.parametrize("name", TEXT_WITHOUT_END)
def test_a_text_without_end_is_left_and_the_status_counts(
    hurried: None, serve: Callable[[Conversation], Peer], name: str
) -> None:
    peer = serve(TEXT_WITHOUT_END[name])
    with within(LIMIT + MARGIN):
        assert post(peer.url) == outgoing.Answer(200, "")


def test_a_text_does_not_get_the_time_of_the_request(
    serve: Callable[[Conversation], Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "TEXT_TIME", LIMIT)
    peer = serve(dripping(CHUNKED, b"0"))
    with within(LIMIT + MARGIN):
        assert post(peer.url).status == 200


def test_a_request_that_is_read_slowly_ends_in_time(hurried: None, serve: Callable[[Conversation], Peer]) -> None:
    over = threading.Event()

    def converse(conn: socket.socket) -> None:
        while not over.wait(0.05):
            conn.recv(1_000)

    peer = serve(converse)
    with within(LIMIT + MARGIN), pytest.raises(outgoing.TooSlow):
        outgoing.post(peer.url, b"x" * 50_000_000, {})
    over.set()


def test_a_handshake_that_drips_ends_in_time(hurried: None, serve: Callable[[Conversation], Peer]) -> None:
    def converse(conn: socket.socket) -> None:
        conn.recv(65_536)
        conn.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB, byte by byte
        for _byte in range(400):
            time.sleep(0.05)
            conn.sendall(b"\x02")

    peer = serve(converse)
    with within(LIMIT + MARGIN), pytest.raises(outgoing.TooSlow):
        post(peer.url.replace("http:", "https:"))


def test_a_name_server_that_does_not_answer_ends_in_time_and_keeps_no_place(
    hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, free = threading.Event(), addresses._LOOK_UPS._value

    def look_up(*given: Any, **kind: Any) -> Any:
        if not kind.get("flags"):
            answer.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with within(LIMIT + MARGIN), pytest.raises(outgoing.TooSlow):
        post("https://slow.example/")
    answer.set()
    until = time.monotonic() + 60
    while addresses._LOOK_UPS._value < free and time.monotonic() < until:
        time.sleep(0.01)
    assert addresses._LOOK_UPS._value == free


@pytest.mark.parametrize(
    "flood",
    [b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, OK + b"X-Long: aaaaaaaaaaaaaaaaaaaaa\r\n" * 10_000],
    ids=["100 Continue", "headers"],
)
def test_a_flood_is_not_received(serve: Callable[[Conversation], Peer], flood: bytes) -> None:
    peer = serve(answering(flood))
    with within(MARGIN), pytest.raises(outgoing.ProviderUnavailable, match="AnswerTooLong|HTTPException"):
        post(peer.url)


def test_an_answer_that_is_no_http_is_another_try(serve: Callable[[Conversation], Peer]) -> None:
    for answer in (b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 100 + b"\r\n"):
        with pytest.raises(outgoing.ProviderUnavailable, match="no answer"):
            post(serve(answering(answer)).url)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for `localhost`, which signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    key, signed = folder / "key.pem", folder / "signed.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(signed)]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return key, signed


@pytest.fixture
def secure_peer(serve: Callable[[Conversation], Peer], certificate: tuple[Path, Path]) -> Peer:
    key, signed = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)

    def converse(conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as secured:
            answering(OK + b"Content-Length: 4\r\n\r\ndone")(secured)

    return serve(converse)


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    connection._tls.cache_clear()
    yield
    connection._tls.cache_clear()


def test_a_secure_address_is_reached_by_its_name(trusted: None, secure_peer: Peer) -> None:
    assert post(f"https://localhost:{secure_peer.port}/") == outgoing.Answer(200, "done")


def test_a_certificate_for_another_name_is_refused(trusted: None, secure_peer: Peer) -> None:
    with pytest.raises(outgoing.ProviderUnavailable, match="SSLCertVerificationError"):
        post(f"https://127.0.0.1:{secure_peer.port}/")


def test_a_certificate_that_nobody_signed_is_refused(secure_peer: Peer) -> None:
    with pytest.raises(outgoing.ProviderUnavailable, match="SSLCertVerificationError"):
        post(f"https://localhost:{secure_peer.port}/")


# What is kept of an answer


@pytest.mark.parametrize(
    ("headers", "body", "kept"),
    [
        ("Content-Type: application/json", b'{"error": "unknown field"}', '{"error": "unknown field"}'),
        ("Content-Type: text/plain; charset=utf-8", "não\x00\r\n\x1b[1m".encode(), "não    [1m"),
        ("X-No-Type: 1", b"x" * 5_000, "x" * outgoing.EXCERPT),
        ("Content-Type: text/html", b"<title>Router login</title>", ""),
        ("Content-Type: application/octet-stream", b"\x89PNG", ""),
        ("Content-Encoding: gzip", b"\x1f\x8b", ""),
    ],
)
def test_of_an_answer_a_short_text_is_kept_and_no_page(
    serve: Callable[[Conversation], Peer], headers: str, body: bytes, kept: str
) -> None:
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    peer = serve(answering(OK + headers.encode() + b"\r\n" + length + body))
    assert post(peer.url) == outgoing.Answer(200, kept)


# Retry-After

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LONGEST, DEFAULT = outgoing.LONGEST_WAIT, outgoing.DEFAULT_WAIT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        (" 5 ", 5.0),
        ("0", 1.0),
        ("-3", 1.0),
        ("-" + "9" * 400, 1.0),
        ("999999999", LONGEST),
        ("9" * 400, LONGEST),
        ("9" * 5_000, LONGEST),
        ("0" * 400 + "7", LONGEST),
        ("nan", DEFAULT),
        ("inf", DEFAULT),
        ("1e400", DEFAULT),
        ("1_000", DEFAULT),
        ("٣", DEFAULT),
        ("Tue, 24 Nov 2026 00:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 00:01:00 GMT", 1.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
        ("Fri, 31 Dec 99999 23:59:59 GMT", DEFAULT),
        ("Tue, 24 Nov 2026 00:01:00 -0000", DEFAULT),
        ("Tue, 24 Nov 2026 00:01:00 +99999999999", DEFAULT),
        ("soon", DEFAULT),
        ("", DEFAULT),
    ],
)
def test_retry_after_is_a_number_or_a_date_within_reason(header: str, seconds: float) -> None:
    assert outgoing.retry_after(header, NOW) == seconds
    assert RetryLater(seconds).seconds == seconds


@pytest.mark.parametrize("header", ["9" * 400, "-1", "nan", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_429_asks_to_wait_whatever_it_says_about_how_long(serve: Callable[[Conversation], Peer], header: str) -> None:
    answer = f"HTTP/1.1 429 Slow\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(RetryLater) as caught:
        post(serve(answering(answer.encode())).url)
    assert 1 <= caught.value.seconds <= LONGEST
