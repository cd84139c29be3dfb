"""Duty: push live rows again that a broker outside the database does not know, whatever the reason: the last net (G1).

And let it heal what somebody else has done to its store. Some rows at a time, by their id; a row counts as lost where
its job was unknown in two looks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import connections

from ..broker import get_broker
from ..broker.contract import Broker
from ..broker.database.pending import note_elsewhere
from ..conf import jobs_settings
from ..defined import queues
from ..history import lookup
from ..states import State
from .each import each_queue
from .recover import lose, unknown_rows

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs, and rows of a queue in one.
INTERVAL, CHUNK = 10.0, 1_000
#: Younger rows are on their way to the broker, or the history is about to hear of their end.
AGE = timedelta(minutes=2)

#: Of each queue: behind which row to look next, and whose jobs were unknown in the last look.
_after: dict[str, UUID] = {}
_suspects: dict[str, Sequence[UUID]] = {}


def run() -> int:
    """Look at some rows; returns how many are to be pushed again."""
    broker = get_broker()
    if broker.rows_are_the_queue:
        return 0
    names = sorted({*queues(), *lookup.queues_with_jobs(), *broker.queues()})
    return each_queue("sweep", names, lambda name: sweep(broker, name))


def sweep(broker: Broker, queue: str) -> int:
    """Look at some rows of a queue; returns how many are to be pushed again."""
    note_elsewhere(connections[jobs_settings().database], queue, broker.store)
    healed, lost = broker.heal(queue), 0
    if healed.returned or healed.vanished:
        text = "healed queue=%s returned=%d vanished=%d: another program has changed the keys of the jobs"
        logger.error(text, queue, healed.returned, healed.vanished)
    rows = lookup.all_jobs().filter(queue=queue, state=State.QUEUED)
    if suspects := _suspects.pop(queue, ()):
        unknown = unknown_rows(broker, queue, rows.filter(pk__in=suspects))
        lost = lose(queue, unknown)
        if lost:
            logger.warning("swept queue=%s jobs=%d: the broker does not know them; they are pushed again", queue, lost)
    old = rows.filter(created_at__lt=broker.now() - AGE)
    if (after := _after.pop(queue, None)) is not None:
        old = old.filter(pk__gt=after)
    ids = list(old.order_by("pk").values_list("pk", flat=True)[:CHUNK])
    if len(ids) == CHUNK:
        _after[queue] = ids[-1]
    if ids:
        _suspects[queue] = unknown_rows(broker, queue, rows.filter(pk__in=ids))
    return lost
