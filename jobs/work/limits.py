"""What was set of a queue's limits at run time, as a worker process hears of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import connections

from ..broker.contract import Broker
from ..policy import AS_THE_CODE_SAYS, QueueLimits
from .breakers import Breakers

logger = logging.getLogger("jobs.worker")

#: Seconds between two looks: what is set holds within a second.
LOOK_EVERY = 0.5


class LimitsWatch(threading.Thread):
    """Looks twice a second what was set, also while all threads are busy, and tells `hold` of what has changed.

    It looks at the breakers of the queue's tasks as well, if they have some. The broker keeps to a rate limit and a
    global concurrency by itself; how many threads a process has, only it knows.
    """

    def __init__(self, broker: Broker, queue: str, breakers: Breakers | None = None) -> None:
        super().__init__(name="limits-watch", daemon=True)
        self._breakers = breakers
        self.held = AS_THE_CODE_SAYS
        self._broker = broker
        self._queue = queue
        self._hold: Callable[[QueueLimits], None] = lambda limits: None
        self._rung = threading.Event()
        self._is_over = False
        self._failed = False

    def look(self) -> None:
        """Look once; where the broker is away, or a thread is refused, the next look tries again."""
        self._look_at_limits()
        if self._breakers is not None:
            self._breakers.look()

    def _look_at_limits(self) -> None:
        did = "read"
        try:
            limits = self._broker.limits(self._queue)
            if limits != self.held:
                did = "held"
                self._hold(limits)
                self.held = limits
        except Exception as error:
            if not self._failed:
                logger.warning("limits_not_%s queue=%s %s: %s", did, self._queue, type(error).__name__, error)
            self._failed = True
        else:
            self._failed = False

    def begin(self, hold: Callable[[QueueLimits], None]) -> None:
        """Tell of changes from now on."""
        self._hold = hold
        self.start()

    def ring(self) -> None:
        """Look at once."""
        self._rung.set()

    def end(self) -> None:
        """Look no more."""
        self._is_over = True
        self._rung.set()

    def run(self) -> None:
        """The thread's life."""
        while True:
            self._rung.wait(LOOK_EVERY)
            self._rung.clear()
            if self._is_over:
                break
            self.look()
        if self._breakers is not None:
            self._breakers.end()
        connections.close_all()
