"""Duty: let jobs go on whose awaited jobs have all ended.

Where the rows are the queue an end decides that itself, and this is the net behind it, whatever was killed. On another
broker ends are facts: while jobs wait, the facts of those queues are heard at once, so that a link takes a moment.
"""

from __future__ import annotations

import logging

from django.db import connections

from .. import clock
from ..broker import get_broker
from ..broker.database import edges
from ..conf import jobs_settings
from ..enqueue.sequences import arrange
from ..enqueue.unblock import unblock
from ..history import facts, live, lookup
from ..history.live import policy_of
from ..models import Batch
from ..states import LIVE, State
from .each import each_queue

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs, and after one that found something.
INTERVAL, SOON = 0.1, 0.02
#: Seconds between two looks where nothing waits, or where the rows are the queue; and until who waits is noticed.
LOOK, NOTICE = 1.0, 0.15
#: Transactions of one queue a run, and for how long a job lives without a row: see the duty `merge`.
MOST, AGE = 5, 2.0

_look_at = _notice_at = float("-inf")


def run() -> int:
    """Decide once; returns how many ended jobs were told of."""
    global _look_at
    now, broker = clock.monotonic(), get_broker()
    waits = not broker.rows_are_the_queue and _notice(now)
    if now < _look_at and not waits:
        return 0
    _look_at = now if waits else now + LOOK
    heard = 0
    if waits:
        awaited = lookup.all_jobs().filter(awaited=True, state__in=LIVE)
        names = sorted(set(awaited.order_by().values_list("queue", flat=True).distinct()))
        # younger facts than usual: somebody waits for them
        heard = each_queue("unblock", names, lambda name: facts.catch_up(broker, policy_of(name), MOST, age=AGE))
    expired = edges.expire_blocked(connections[jobs_settings().database])
    arranged = arrange()
    told = unblock()
    if told:
        _look_at = clock.monotonic()
    return told or arranged or expired or heard


def _notice(now: float) -> bool:
    """Whether jobs wait: asked more often than all else, since the first of a chain may end within a moment."""
    global _notice_at
    if now < min(_notice_at, _look_at):
        return False
    _notice_at = now + NOTICE
    if lookup.all_jobs().filter(state=State.BLOCKED).exists():
        return True
    return Batch.objects.using(jobs_settings().database).filter(ended_at=None).exists()


def hear_and_unblock() -> int:
    """Hear of every end that there is, and decide; for who cannot wait for the duty: `jobs.testing`."""
    live.hear()
    arrange()
    return unblock()
