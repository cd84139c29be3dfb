"""How a worker keeps its own lease while it holds jobs: its supervisor may be dead, stopped or slow."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from uuid import UUID

from django.db import connections

from ..broker.contract import Broker
from ..define.context import request_cancel
from .late import tell_of_late

logger = logging.getLogger("jobs.worker")

#: Seconds between two renewals.
RENEW_EVERY = 1.0


class OwnLease(threading.Thread):
    """Renews a worker's own lease once a second while it holds jobs, and passes cancel requests on to them.

    So the jobs keep their lease when the supervisor is dead or slow, and a request to cancel arrives within a second.
    `gone` is called when the broker says that the lease has ended, `fill_place` for a job past its time.
    """

    def __init__(
        self,
        broker: Broker,
        worker: UUID,
        lease: float,
        *,
        holds_jobs: Callable[[], bool],
        gone: Callable[[], None],
        fill_place: Callable[[UUID], None],
    ) -> None:
        super().__init__(name="own-lease", daemon=True)
        self._broker = broker
        self._worker = worker
        self._lease = lease
        self._holds_jobs = holds_jobs
        self._gone = gone
        self._fill_place = fill_place
        self._ended = threading.Event()
        self._failed = False

    def end(self) -> None:
        """Stop renewing."""
        self._ended.set()

    def run(self) -> None:
        """The thread's life."""
        while not self._ended.wait(min(RENEW_EVERY, self._lease / 3)):
            if not self._holds_jobs():
                continue
            try:
                tell_of_late(self._fill_place)
                renewal = self._broker.renew([self._worker], self._lease)
            except Exception as error:
                if not self._failed:
                    logger.error("own_lease_not_renewed worker=%s %s: %s", self._worker, type(error).__name__, error)
                self._failed = True
                continue
            self._failed = False
            request_cancel(renewal.cancel_requested)
            if self._worker not in renewal.alive and not self._ended.is_set():
                logger.warning("lease_lost worker=%s: it claims nothing more", self._worker)
                self._gone()
                break
        connections.close_all()
