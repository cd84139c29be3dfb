"""The end of jobs lets those go on that wait for them: what an end itself has not decided is decided here."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import connections

from .. import clock
from ..broker import get_broker
from ..broker.database import edges
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..faults import point
from .accept import in_transaction, push_after_commit
from .outbox import is_away, push_pending

logger = logging.getLogger("jobs.accept")


def unblock(ids: Collection[UUID] | None = None) -> int:
    """Tell those that wait how jobs have ended, of these jobs or all; returns how many had. Repeating it is harmless.

    In the caller's transaction, if there is one; then what can run goes to the broker after its commit.
    """
    connection = connections[jobs_settings().database]
    done = edges.decide_now(connection, straight=get_broker().rows_are_the_queue, ids=ids)
    hint(done.queued)
    if done.pending and in_transaction(connection):
        push_after_commit(connection, done.pending)
    elif done.pending and not is_away():
        point("unblock.after_commit")
        try:
            push_pending(done.pending)
        except Exception:
            logger.warning("push_of_unblocked_failed jobs=%d: the keeper relays them", len(done.pending), exc_info=True)
    return done.ended


def hint(queues: Iterable[str]) -> None:
    """Let sleeping workers of these queues look, once this is committed."""
    if names := set(queues):
        get_broker().hint_after_commit(
            [NewJob(id=clock.new_id(), queue=name, task="", message="", priority=0) for name in sorted(names)]
        )
