"""Sentinels: they know which server of a service is the primary, also after a fail-over."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from redis import exceptions

from ... import clock
from ...errors import BrokerAway

#: Seconds for one Sentinel to answer, and after which no further one is asked: the server itself takes its time, too.
TIMEOUT, ENOUGH = 0.25, 0.4
#: Seconds between two looks for another primary, and after one that nobody answered: the server does without them.
LOOK_EVERY, LOOK_LATER = 1.0, 5.0


class Sentinels:
    """The Sentinels of one service; the one that answered last is asked first."""

    def __init__(self, connect: Any, options: dict[str, Any], service: str, places: Sequence[tuple[str, int]]) -> None:
        self._connect = connect
        self._options = {**options, "socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        self._service = service
        self._places = list(places)
        self._lock = threading.Lock()
        self._next_look = float("-inf")
        #: Where the primary was at the last look.
        self.known: tuple[str, int] | None = None

    def look(self) -> None:
        """Ask for the primary, once a second at most.

        One that hung, or was cut off, goes on taking what is lost as soon as its Sentinels make a replica of it: that
        takes them some ten seconds.
        """
        now = clock.monotonic()
        with self._lock:
            if now < self._next_look:
                return
            self._next_look = now + LOOK_EVERY
        try:
            self.primary()
        except BrokerAway:
            self._next_look = now + LOOK_LATER

    def primary(self) -> tuple[str, int]:
        """Host and port of the primary; raises `BrokerAway` with one sentence if nobody knows it."""
        began, said = clock.monotonic(), ""
        for place in list(self._places):
            try:
                self.known = self._ask(*place)
                self._next_look = clock.monotonic() + LOOK_EVERY
                return self.known
            except (exceptions.RedisError, OSError, _Unknown) as error:
                said = f"{place[0]}:{place[1]}: {' '.join(str(error).split())[:300] or type(error).__name__}"
            self.doubt(place)
            if clock.monotonic() - began > ENOUGH:
                break
        raise BrokerAway(f"no Sentinel names the primary of the service {self._service!r} ({said})", undone=True)

    def doubt(self, place: tuple[str, int] | None = None) -> None:
        """Ask another one first the next time: this one, or the first, does not answer or knows old news."""
        with self._lock:
            place = place or self._places[0]
            self._places.remove(place)
            self._places.append(place)

    def _ask(self, host: str, port: int) -> tuple[str, int]:
        connection = self._connect(host=host, port=port, **self._options)
        try:
            connection.connect()
            connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            answer = connection.read_response()
        finally:
            connection.disconnect()
        if answer is None:
            raise _Unknown("it does not know this service")
        return answer[0].decode(), int(answer[1])


class _Unknown(Exception):
    """A Sentinel does not know the service."""
