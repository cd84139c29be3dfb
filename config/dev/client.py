"""A browser small enough to read: JSON requests, and web forms with their hidden fields and cookies."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    body: str

    def json(self) -> Any:
        """The body as JSON; nothing if it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class _Fields(HTMLParser):
    """The names and values of a page's input fields."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden" and given.get("name"):
            self.values[str(given["name"])] = given.get("value") or ""


class Client:
    """Speaks to one site and keeps its cookies."""

    def __init__(self, site: str) -> None:
        self.site = site
        # No proxy: the shell's http_proxy is not for this machine.
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )

    def get(self, path: str) -> Answer:
        """Fetch a page."""
        return self._send(urllib.request.Request(self.site + path))

    def post_json(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        """Send a JSON document."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.site + path, data, {"Content-Type": "application/json", **headers})
        return self._send(request)

    def submit_form(self, path: str, values: Mapping[str, str]) -> Answer:
        """Open the page of a form, fill it in and send it, as a browser does."""
        page = self.get(path)
        if page.status != 200:
            return page
        fields = _Fields()
        fields.feed(page.body)
        data = urllib.parse.urlencode({**fields.values, **values}).encode()
        return self._send(urllib.request.Request(self.site + path, data, {"Referer": self.site + path}))

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            with self.opener.open(request, timeout=30) as response:
                return Answer(response.status, response.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(errors="replace"))


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], seconds: float, every: float = 0.1) -> bool:
    """Ask again and again; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def listens(port: int) -> bool:
    """Whether a server answers on this port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
