"""Duty: take care of what a broker outside the database may have lost: its last second, or all it held (G1).

The history remembers of each queue the generation of its store and how many pushes it had counted. In another
generation, or where the count has fallen, each live row is compared with the store: what it does not know is pushed
again, what the history knows better it learns, and what has ended does not start again. So the rows of another broker
are taken over, too (see `take_over`). An active job of a wiped store may run twice: that is "at least once".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from .. import clock
from ..broker import get_broker
from ..broker.contract import LEFT, Broker
from ..broker.records import Life, LivingRow
from ..conf import jobs_settings
from ..defined import queues
from ..errors import BrokerAway
from ..faults import point
from ..history import lookup
from ..history.facts import LOST, catch_up
from ..history.limits import limits_of_row
from ..history.live import policy_of
from ..models import Job, QueueState
from ..operate.groups import tell_groups
from ..operate.tags import tell_tags
from ..states import ENDED, State
from .each import each_queue

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs, and after one that found rows.
INTERVAL, SOON = 1.0, 0.05
#: Rows that are compared in one step.
CHUNK = 1_000
#: Pages of facts that are heard before any row is taken for lost: those of what has ended meanwhile.
PAGES = 100
#: Seconds after which the rows of a queue are left for the next run: the keeper's other duties wait for it.
LONGEST = 1.0

#: Up to which row a queue was compared, in which generation, where that is not all yet.
_reached: dict[str, tuple[str, UUID]] = {}


def run() -> int:
    """Look once; returns how many rows are to be pushed again."""
    broker = get_broker()
    if broker.rows_are_the_queue:
        return 0
    names = sorted({*queues(), *lookup.queues_with_jobs(), *broker.queues()})
    known = {state.queue: state for state in _states().filter(queue__in=names)}
    return each_queue("recover", names, lambda name: recover(broker, name, known.get(name)))


def recover(broker: Broker, queue: str, state: QueueState | None = None) -> int:
    """Let the relay push the queue's live rows again that its store has lost; returns how many.

    `state`: the queue's, if it was read just now.
    """
    states = _states()
    state = state or states.get_or_create(queue=queue)[0]
    if state.left_store == broker.store:
        raise BrokerAway(LEFT, undone=True)
    life = broker.life(queue, state.generation, state.merged)  # asked later: what it counts only grows
    if life is None or state.life == (told := f"{life.generation} {life.sequence}"):
        return 0
    generation, _, sequence = state.life.partition(" ")
    rows, is_done = 0, True
    if generation != life.generation or life.sequence < int(sequence or 0):
        if life.has_lost_facts or state.life == LOST:
            _end_again(broker, queue)
        state = states.get(queue=queue)  # people may have said otherwise since it was read
        _keep_paused(broker, queue, state.paused)
        if broker.limits(queue) != (limits := limits_of_row(state)):
            broker.set_limits(queue, limits)
        tell_groups(broker, queue)
        tell_tags(broker, state)
        rows, is_done = _mend(broker, queue, life)
        text = "recovered queue=%s jobs=%d: their store was wiped, restarted or is a new one"
        logger.log(logging.WARNING if rows else logging.INFO, text, queue, rows)
    if is_done:
        # unless somebody has found out about a loss meanwhile
        states.filter(queue=queue, life=state.life).update(life=told)
    return rows or not is_done


def unknown_rows(broker: Broker, queue: str, rows: QuerySet[Job]) -> list[UUID]:
    """Those of some live rows whose jobs the store does not know; of the others it learns what the history knows."""
    names = ("pk", "run", "attempts", "starts", "lost")
    return list(broker.mend(queue, [LivingRow(*row) for row in rows.values_list(*names)]))


def lose(queue: str, ids: Sequence[UUID]) -> int:
    """Let rows be pending again, whose jobs their broker has lost; returns how many."""
    return lookup.all_jobs().filter(queue=queue, pk__in=ids, state=State.QUEUED).update(state=State.PENDING)


def _states() -> QuerySet[QueueState]:
    return QueueState.objects.using(jobs_settings().database)


def _mend(broker: Broker, queue: str, life: Life) -> tuple[int, bool]:
    """Compare what lives by the history with the store; returns how many rows are lost, and whether that was all."""
    end = clock.monotonic() + LONGEST
    catch_up(broker, policy_of(queue), PAGES)
    lost = 0
    generation, after = _reached.pop(queue, ("", None))
    rows = lookup.all_jobs().filter(queue=queue, state=State.QUEUED)
    left = rows if after is None or generation != life.generation else rows.filter(pk__gt=after)
    while ids := list(left.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        if unknown := unknown_rows(broker, queue, rows.filter(pk__in=ids)):
            point("recover.before_commit")
            lost += lose(queue, unknown)
        left = rows.filter(pk__gt=ids[-1])
        if clock.monotonic() >= end:
            _reached[queue] = life.generation, ids[-1]
            return lost, False
    broker.mend(queue, done=life.generation)
    return lost, True


def _keep_paused(broker: Broker, queue: str, paused: bool) -> None:
    if paused:
        broker.pause(queue)
    elif broker.counts(queue).paused:
        broker.resume(queue)


def _end_again(broker: Broker, queue: str) -> None:
    """What has ended by the history does not start again."""
    for ids in broker.live_ids(queue):
        for start in range(0, len(ids), CHUNK):
            rows = lookup.all_jobs().filter(pk__in=ids[start : start + CHUNK], state__in=ENDED)
            if ended := list(rows.values_list("pk", "run")):
                broker.mend(queue, over=ended)
