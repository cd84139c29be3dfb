"""The keeper: runs each duty at its interval, and survives whatever the database does.

A duty is a module with `INTERVAL` (seconds between two runs) and `run()`, which returns how many things it did and
works for about a second at most: what is left, it does when it comes again, after `SOON` seconds. Any number of keepers
may run at the same time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db import connections

from .. import clock
from ..connections import close_obsolete_connections
from ..errors import BrokerAway
from . import (
    causes,
    limits,
    merge,
    operations,
    prune,
    reap,
    recover,
    relay,
    rewind,
    see,
    sign,
    sweep,
    take_over,
    tick,
    unblock,
    upkeep,
)

logger = logging.getLogger("jobs.keeper")

#: The longest pauses, in seconds, after failures; where the broker was away or full, what waits is taken up soon (G1).
LONGEST_BACKOFF, LONGEST_WHEN_AWAY = 30.0, 5.0
#: The longest sleep, in seconds.
NAP = 10.0


@dataclass(slots=True)
class Duty:
    """A duty's schedule in this process."""

    name: str
    interval: float
    run: Callable[[], int]
    #: the interval after a run that did something
    soon: float | None = None
    #: after each run, how long it is until the next, where the interval does not say it
    wait: Callable[[], float] | None = None
    due_at: float = 0.0
    failures: int = 0


def duties() -> list[Duty]:
    """All duties, the urgent ones first."""
    return [
        Duty("reap", reap.INTERVAL, reap.run, reap.SOON),
        Duty("take_over", take_over.INTERVAL, take_over.run, take_over.SOON),
        Duty("recover", recover.INTERVAL, recover.run, recover.SOON),
        Duty("relay", relay.INTERVAL, relay.run, relay.SOON),
        Duty("merge", merge.INTERVAL, merge.run, merge.SOON),
        Duty("unblock", unblock.INTERVAL, unblock.run, unblock.SOON),
        Duty("rewind", rewind.INTERVAL, rewind.run, rewind.SOON),
        Duty("see", see.INTERVAL, see.run),
        Duty("tick", tick.INTERVAL, tick.run, wait=tick.wait),
        Duty("operations", operations.INTERVAL, operations.run, operations.SOON),
        Duty("sweep", sweep.INTERVAL, sweep.run),
        Duty("prune", prune.INTERVAL, prune.run, prune.SOON),
        Duty("causes", causes.INTERVAL, causes.run, causes.SOON),
        Duty("upkeep", upkeep.INTERVAL, upkeep.run),
        Duty("limits", limits.INTERVAL, limits.run),
    ]


def keep(stop: threading.Event, todo: list[Duty] | None = None, worker: UUID | None = None) -> None:
    """Run the duties until `stop` is set; a duty under way is finished first.

    `worker` is how the broker knows this process: it signs for the duties that run.
    """
    todo = duties() if todo is None else todo
    if worker is not None:
        todo = [*todo, _signing(worker, todo)]
    while not stop.is_set():
        for duty in todo:
            if clock.monotonic() >= duty.due_at and not stop.is_set():
                _run(duty)
        wait = min(duty.due_at for duty in todo) - clock.monotonic()
        stop.wait(min(max(wait, 0.0), NAP))
    connections.close_all()


def _signing(worker: UUID, todo: list[Duty]) -> Duty:
    """The last duty: to sign, once all others have run and while none of them fails."""

    def run() -> int:
        return 0 if any(duty.failures for duty in todo) else sign.run(worker)

    return Duty("sign", sign.INTERVAL, run)


def _run(duty: Duty) -> None:
    close_obsolete_connections()
    try:
        done = duty.run()
    except Exception as error:
        duty.failures += 1
        longest = LONGEST_WHEN_AWAY if isinstance(error, BrokerAway) else LONGEST_BACKOFF
        pause = min(duty.interval * 2 ** min(duty.failures, 10), max(longest, duty.interval))
        # the whole traceback once; a database that stays away must not fill the log
        logger.error(
            "duty_failed duty=%s next=%.0fs %s: %s",
            duty.name,
            pause,
            type(error).__name__,
            error,
            exc_info=duty.failures == 1,
        )
    else:
        if duty.failures:
            logger.info("duty_works_again duty=%s failures=%d", duty.name, duty.failures)
        duty.failures, pause = 0, duty.interval if duty.soon is None or not done else duty.soon
        if duty.wait is not None:
            pause = duty.wait()
    duty.due_at = clock.monotonic() + pause
