"""The end of jobs lets those go on that wait for them: what an end itself has not decided is decided here."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import clock, reasons
from ..broker import get_broker
from ..broker.database import edges
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..faults import point
from ..states import State
from .after_commit import in_transaction, push_after_commit
from .outbox import is_away, push_pending

logger = logging.getLogger("jobs.accept")


def unblock(ids: Collection[UUID] | None = None) -> int:
    """Tell those that wait how jobs have ended, of these jobs or all; returns how many had. Repeating it is harmless.

    In the caller's transaction, if there is one; then what can run goes to the broker after its commit.
    """
    connection, straight = connections[jobs_settings().database], get_broker().rows_are_the_queue
    done = edges.decide_now(connection, straight=straight, ids=ids)
    if ids is None:
        edges.end_batches_now(connection, edges.read_unended_batches(connection), done, straight=straight)
    pass_on(connection, done)
    return done.ended


def end_batch(batch: UUID) -> None:
    """End a batch, if it is over; the jobs that follow go to the broker."""
    connection, done = connections[jobs_settings().database], edges.Decided()
    edges.end_batches_now(connection, [batch], done, straight=get_broker().rows_are_the_queue)
    pass_on(connection, done)


def abandon(awaited: Collection[UUID]) -> int:
    """Let those go on that wait for jobs which are gone and can tell nothing; returns how many waited.

    For them it counts as cancelled.
    """
    from ..models import Edge

    connection, done = connections[jobs_settings().database], edges.Decided()
    with edges.own_trip(connection) as trip:
        open_edges = Edge.objects.using(connection.alias).filter(state="", awaited_id__in=awaited)
        waiting = sorted(set(open_edges.values_list("waiting_id", flat=True)))
        open_edges.update(state=State.CANCELLED, error=reasons.NOT_KEPT)
        edges.release(trip, waiting, done, straight=get_broker().rows_are_the_queue)
    pass_on(connection, done)
    return len(waiting)


def pass_on(connection: BaseDatabaseWrapper, done: edges.Decided) -> None:
    """Give what was decided to the broker: now, or after the commit of the open transaction."""
    hint(done.queued)
    if done.pending and in_transaction(connection):
        push_after_commit(connection, done.pending)
    elif done.pending and not is_away():
        point("unblock.after_commit")
        try:
            push_pending(done.pending)
        except Exception:
            logger.warning("push_of_unblocked_failed jobs=%d: the keeper relays them", len(done.pending), exc_info=True)


def hint(queues: Iterable[str]) -> None:
    """Let sleeping workers of these queues look, once this is committed."""
    if names := set(queues):
        get_broker().hint_after_commit(
            [NewJob(id=clock.new_id(), queue=name, task="", message="", priority=0) for name in sorted(names)]
        )
