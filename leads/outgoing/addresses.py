"""Which addresses an outgoing request may reach: public ones, and the private networks that the settings name."""

from __future__ import annotations

import ipaddress
import socket
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.encoding import iri_to_uri
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Ports of web servers, and those that need no privilege: no mail, DNS or directory server listens there.
_WEB_PORTS, _FIRST_FREE_PORT = frozenset({80, 443}), 1024
#: What carries an IPv4 address and is routed by it: RFC 6052.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: The only IPv6 addresses that are routed between networks: RFC 4291, 2.5.4.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
#: What Python's `is_global` lets pass: 6to4 and its relays; older ones also documentation and protocol assignments.
_NEVER = tuple(map(ipaddress.ip_network, ("2002::/16", "192.88.99.0/24", "3fff::/20", "192.0.0.0/24")))
#: Look-ups that may be under way in this process; one that nobody waits for any more ends by the resolver's own limit.
_LOOK_UPS = threading.BoundedSemaphore(32)

_NO_WEB_ADDRESS = _("Enter an address like https://crm.example.com/leads.")
_WITH_PASSWORD = _("The address must not contain a user name or password.")
_PORT = _("Use port 80, 443 or one above 1023.")
_NOT_PUBLIC = _("The host is unknown or not on the public internet.")


class UnusableAddress(Exception):
    """An address that is not used; the reason is for the person who entered it."""

    def __init__(self, reason: str | Promise) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Target:
    """Where a request goes, taken from a URL."""

    secure: bool
    host: str
    port: int
    path: str


def target_of(url: str) -> Target:
    """Read a URL; raises `UnusableAddress`. Names are not looked up, but a host that is written as a number is checked.

    A host that stands for no public address whoever looks it up is refused here, so that a form can say so.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode().lower()
        port = parts.port
    except ValueError:  # UnicodeError is one
        raise UnusableAddress(_NO_WEB_ADDRESS) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise UnusableAddress(_NO_WEB_ADDRESS)
    if "@" in parts.netloc:
        raise UnusableAddress(_WITH_PASSWORD)
    secure = parts.scheme == "https"
    if port is None:
        port = 443 if secure else 80
    if port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
        raise UnusableAddress(_PORT)
    target = Target(secure, host, port, iri_to_uri((parts.path or "/") + (f"?{parts.query}" if parts.query else "")))
    _refuse_written_address(host)
    return target


def addresses_of(target: Target, seconds: float) -> list[tuple[int, Any]]:
    """The (family, socket address) pairs to connect to, looked up once; what is connected to is what was checked.

    Raises `UnusableAddress` if there are none, `TimeoutError` after so many seconds.
    """
    found = _looked_up(target.host, target.port, seconds)
    usable = [(family, where) for family, _kind, _protocol, _name, where in found if may_be_reached(where[0])]
    if not usable:
        # one sentence for both: who may enter an address must not learn which names our own network knows
        raise UnusableAddress(_NOT_PUBLIC)
    return usable


def may_be_reached(address: str) -> bool:
    """Whether it is a public address, or in a network of `OUTGOING_PRIVATE_NETWORKS`."""
    ip: IPAddress = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        ip = _carried(ip)
    if any(ip in network for network in settings.OUTGOING_PRIVATE_NETWORKS):
        return True
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NEVER)


def _carried(ip: ipaddress.IPv6Address) -> IPAddress:
    """The IPv4 address that an IPv6 one leads to, or itself."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else ip


def _refuse_written_address(host: str) -> None:
    name = host.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761
        name = "127.0.0.1"
    try:
        # as the system reads it: 2130706433, 0x7f.1 and 017700000001 are 127.0.0.1; asks no server
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return
    if not any(may_be_reached(str(where[0])) for *_rest, where in found):
        raise UnusableAddress(_NOT_PUBLIC)


def _looked_up(host: str, port: int, seconds: float) -> list[Any]:
    """`getaddrinfo` with a limit: a resolver waits as long as it likes, and a name server can make it."""
    answers: SimpleQueue[list[Any] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))
        finally:
            _LOOK_UPS.release()

    if not _LOOK_UPS.acquire(timeout=seconds):
        raise TimeoutError
    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if isinstance(answer, socket.gaierror) and answer.errno != socket.EAI_AGAIN:
        return []
    if isinstance(answer, OSError):
        raise answer
    return answer
