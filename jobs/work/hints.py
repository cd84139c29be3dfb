"""Word of new jobs, where the broker sends it: a sleeping worker then need not look many times a second."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import connections

from ..broker.contract import Broker

logger = logging.getLogger("jobs.worker")

#: The longest wait for a hint, in seconds; the first one tells soon whether any can be heard.
LISTEN, AT_FIRST = 5.0, 0.1
#: Seconds until a broker without hints is asked again.
AGAIN = 5.0


class HintEar(threading.Thread):
    """Waits for hints about one queue and passes them to `hear`, as `Broker.wait_for_hint` answers them.

    `hear` says whether a hint is of use here. One that only this process heard goes on to another where it is not, and
    then nothing is listened for until there is `room` again: a busy worker takes no word that an idle one needs.
    Nobody waits for its end, which may take some seconds: it goes with the process.
    """

    def __init__(self, broker: Broker, queue: str, hear: Callable[[bool | None], bool], room: threading.Event) -> None:
        super().__init__(name="hints", daemon=True)
        self._broker = broker
        self._queue = queue
        self._hear = hear
        self._room = room
        self._ended = threading.Event()

    def end(self) -> None:
        """Stop listening."""
        self._ended.set()
        self._room.set()

    def run(self) -> None:
        """The thread's life."""
        seconds = min(AT_FIRST, LISTEN)
        while not self._ended.is_set():
            try:
                hint = self._broker.wait_for_hint(self._queue, seconds)
                seconds = LISTEN
                passed_on = not self._hear(hint) and self._broker.pass_hint_on(self._queue)
                if passed_on and not self._ended.is_set():
                    self._room.wait(LISTEN)
            except Exception:
                if self._ended.is_set():
                    break
                logger.exception("hints_broke queue=%s: polling", self._queue)
                hint = None
                self._hear(hint)
            if hint is None:
                self._ended.wait(AGAIN)
        connections.close_all()
