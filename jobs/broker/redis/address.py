"""Where the Redis server is: at an address, or wherever Sentinels say that the primary of a service is now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha1
from typing import Any
from urllib.parse import unquote

from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url

#: Where a Sentinel listens if nothing else is said.
SENTINEL_PORT = 26_379

_BY_SENTINEL = re.compile(
    r"(?P<scheme>sentinel|rediss?\+sentinel)://(?P<signed>[^@/?#]*@)?(?P<places>[^@/?#]+)"
    r"/(?P<service>[^/?#]+)(?:/(?P<number>\d*))?(?:\?(?P<options>[^#]*))?"
)
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s]+))(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """What `connect` takes to reach the server, or by `sentinels` all but its host and port.

    `sentinels` are hosts and ports, none where the server has a fixed place; `ask` is what `connect` takes beside them.
    """

    connect: Any
    options: dict[str, Any]
    service: str = ""
    sentinels: tuple[tuple[str, int], ...] = ()
    ask: dict[str, Any] | None = None

    def __str__(self) -> str:
        """The address as people may read it: without user, password and other options."""
        number = self.options.get("db", 0)
        if issubclass(self.connect, UnixDomainSocketConnection):
            return f"unix://{self.options['path']}?db={number}"
        scheme = "rediss" if issubclass(self.connect, SSLConnection) else "redis"
        if self.sentinels:
            return f"{scheme}+sentinel://{','.join(_place(*place) for place in self.sentinels)}/{self.service}/{number}"
        return f"{scheme}://{_place(self.options.get('host', 'localhost'), self.options.get('port', 6379))}/{number}"


def read_address(url: str) -> Address:
    """What an address says; raises ValueError if it is none.

    `redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/SERVICE/NUMBER`, with user and password of the servers; those
    of the Sentinels are options: `?sentinel_username=…&sentinel_password=…`. By `rediss+sentinel` all speak TLS.
    """
    if "sentinel://" not in url:
        options: dict[str, Any] = dict(parse_url(url))
        return Address(options.pop("connection_class", Connection), options)
    found = _BY_SENTINEL.fullmatch(url)
    if found is None:
        raise ValueError("expected redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/NUMBER")
    scheme = "rediss" if found["scheme"].startswith("rediss") else "redis"
    said = f"{scheme}://{found['signed'] or ''}primary/{found['number'] or 0}?{found['options'] or ''}"
    options = dict(parse_url(said))
    connect = options.pop("connection_class", Connection)
    del options["host"]
    ask = {name: value for name, value in options.items() if name.startswith("ssl_")}
    for name in ("username", "password"):
        if value := options.pop(f"sentinel_{name}", None):
            ask[name] = value
    places = tuple(map(_read_place, found["places"].split(",")))
    return Address(connect, options, unquote(found["service"]), places, ask)


def store_of(url: str, namespace: str) -> str:
    """A short name for what a namespace holds at an address; says nothing of passwords, and is the same with others."""
    address = read_address(url)
    named = (address.options.get(name) for name in ("host", "port", "path", "db"))
    text = repr((*named, address.service, sorted(address.sentinels), namespace))
    return sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]


def _read_place(text: str) -> tuple[str, int]:
    found = _PLACE.fullmatch(text)
    if found is None or not 0 < int(found[3] or SENTINEL_PORT) <= 65_535:
        raise ValueError(f"{text} is no HOST:PORT of a Sentinel")
    return found[1] or found[2], int(found[3] or SENTINEL_PORT)


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
