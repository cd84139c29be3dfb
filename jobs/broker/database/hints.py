"""Hints: sleeping workers are told of what may be due, once it is committed.

Whoever makes a job due, or room for one, notes its queue on the trip; who looks by itself soon enough needs no hint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ...faults import point
from ...policy import QueuePolicy
from ..records import HandedBack, NewJob, Postponed, Retried, Settlement

#: Workers look once a second by themselves: what is due later than that, and some time for the look, needs no hint.
HINT_WITHIN = 1.5

Say = Callable[[Collection[str]], None]


def queues_of(jobs: Iterable[NewJob]) -> set[str]:
    """The queues in which these new jobs are due soon."""
    return {job.queue for job in jobs if job.ready_at or job.at or job.delay < HINT_WITHIN}


def makes_due(policy: QueuePolicy, settlements: Sequence[Settlement], claimed: int) -> bool:
    """Whether others may start something now, or soon, that they cannot know of, after these were settled."""
    # it claimed less than it gave free: the others may have room for the rest
    if claimed < len(settlements) and (policy.global_concurrency or any(one.job.group for one in settlements)):
        return True
    return any(_comes_back_soon(settlement) for settlement in settlements)


def tell_after_commit(connection: BaseDatabaseWrapper, queues: set[str], say: Say) -> None:
    """Say it now; inside a transaction once after its commit; with autocommit off nobody knows when that would be."""
    if connection.in_atomic_block:
        # several enqueues of one transaction: the first that runs after the commit speaks for all
        waiting: set[str] = connection.__dict__.setdefault("_esteira_hints", set())
        waiting.update(queues)
        transaction.on_commit(partial(_tell_all, waiting, say), using=connection.alias, robust=True)
    elif connection.connection is None or connection.autocommit:
        say(queues)


def _tell_all(waiting: set[str], say: Say) -> None:
    if waiting:
        point("enqueue.after_commit")
        queues = set(waiting)
        waiting.clear()
        say(queues)


def _comes_back_soon(settlement: Settlement) -> bool:
    outcome = settlement.outcome
    if not isinstance(outcome, (Retried, Postponed, HandedBack)):
        return False
    return outcome.delay is None or outcome.delay < HINT_WITHIN
