"""Trouble of the worker's own: its jobs go back unharmed, it claims more rarely, and the status says so."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from uuid import UUID

from .. import reasons
from ..broker.contract import Broker
from ..broker.records import HandedBack, Settlement
from ..errors import BrokerAway
from ..reasons import is_late
from .exchanges import backoff

logger = logging.getLogger("jobs.worker")

#: It is told until there was none for so many seconds.
PASSES = 10.0


class Trouble:
    """What keeps a worker from working. Noted under the pool's lock, and told without it."""

    def __init__(self) -> None:
        self.times = 0  # in a row
        self.claim_at = 0.0  # not before that, by `clock.monotonic()`
        self.late = 0  # jobs that run on past their time, in places that are filled anew
        self._text = self._told = ""
        self._at = 0.0

    def learn(self, settlements: Iterable[Settlement], now: float) -> None:
        """See by what has ended whether there is trouble."""
        text = ""
        for settlement in settlements:
            outcome = settlement.outcome
            if isinstance(outcome, HandedBack) and outcome.trouble:
                text = outcome.reason
            elif settlement.started_at is not None:
                self.times = 0
        if text:
            self._text, self._at = text, now
            self.times += 1
            self.claim_at = now + backoff(self.times)

    def limit(self, wanted: int, now: float) -> int:
        """How many of so many jobs may be claimed now: one, to try, when the time for that has come."""
        if not self.times:
            return wanted
        return min(wanted, 1) if now >= self.claim_at else 0

    def tell(self, broker: Broker, worker_id: UUID, queue: str, now: float) -> None:
        """Let log and status say what keeps this worker from working, or that nothing does any more."""
        if not (self._text or self.late or self._told):
            return
        if self._text and now > self._at + PASSES:
            self._text = ""
        late = reasons.RUN_ON % {"count": self.late} if self.late else ""
        text = self._text or late
        if text == self._told or (self._text and self._told and not is_late(self._told)):
            return
        try:
            broker.report_trouble(worker_id, text)
        except BrokerAway:  # the next time then
            return
        except Exception:  # the log says it all the same
            logger.exception("trouble_not_told queue=%s", queue)
        self._told = text
        if text:
            logger.error("worker_in_trouble queue=%s pid=%d %s", queue, os.getpid(), text)
        else:
            logger.warning("worker_out_of_trouble queue=%s pid=%d", queue, os.getpid())
