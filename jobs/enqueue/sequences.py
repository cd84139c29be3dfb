"""Jobs of a sequence are accepted: they wait blocked, and get their places after the commit."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from functools import partial
from uuid import UUID

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..broker import get_broker
from ..broker.database import edges, sequences
from ..broker.database.sequences import Name
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..faults import point
from .after_commit import of_transaction
from .hold import chunks
from .unblock import pass_on

logger = logging.getLogger("jobs.accept")

#: Sequences of one transaction.
MOST = 100


def note(connection: BaseDatabaseWrapper, jobs: Sequence[NewJob]) -> None:
    """Let these blocked jobs, inserted in the open transaction, have their places after the commit."""
    if not jobs:
        return
    with connection.cursor() as cursor:
        sequences.note(cursor, connection.vendor, jobs)
    arrange_after_commit(connection, {(job.queue, job.sequence) for job in jobs})


def arrange_after_commit(connection: BaseDatabaseWrapper, names: Collection[Name]) -> None:
    """Arrange these sequences once the open transaction has committed."""
    # with autocommit off Django knows no commit to hook on to: the keeper does it
    if connection.in_atomic_block:
        noted: set[Name] = of_transaction(connection, "_esteira_sequences")
        noted.update(names)
        transaction.on_commit(partial(_arrange_committed, noted), using=connection.alias, robust=True)


def _arrange_committed(noted: set[Name]) -> None:
    point("enqueue.after_commit")
    names = sorted(noted)
    noted.clear()
    if not names:
        return
    try:
        arrange(names)
    except Exception:
        text = "arrange_after_commit_failed sequences=%d: the keeper does it"
        logger.warning(text, len(names), exc_info=True)


def arrange(names: Collection[Name] | None = None) -> int:
    """Give the jobs of these sequences, or of all, their places, and let the first ones go; returns how many sequences.

    In order of commits, and within one transaction in that of the calls.
    """
    connection = connections[jobs_settings().database]
    todo = sorted(sequences.read_unplaced(connection) if names is None else names)
    for start in range(0, len(todo), MOST):
        done = edges.Decided()
        with edges.own_trip(connection) as trip:
            turn = sequences.place(trip, todo[start : start + MOST])
            edges.release(trip, turn.next, done, straight=get_broker().rows_are_the_queue)
            point("unblock.before_commit")
        pass_on(connection, done)
    return len(todo)


def arrange_jobs(ids: Collection[UUID]) -> None:
    """Arrange the sequences of those of these jobs that wait in one, after the commit of an open transaction."""
    from ..models import Job

    connection = connections[jobs_settings().database]
    found = Job.objects.using(connection.alias).filter(sequence__gt="")
    names: set[Name] = set()
    for chunk in chunks(sorted(ids)):
        names.update(found.filter(pk__in=chunk).values_list("queue", "sequence"))
    if names and connection.in_atomic_block:
        arrange_after_commit(connection, names)
    elif names:
        arrange(names)
