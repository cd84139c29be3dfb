"""A job with an id of its caller's own is accepted once, however often the call is repeated."""

from __future__ import annotations

from django.db import IntegrityError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..broker import get_broker
from ..broker.database import rows
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..errors import BrokerAway, InvalidOption, QueueBroken
from .accept import Accepted, checked, or_invalid, or_unavailable, write
from .after_commit import in_transaction
from .outbox import is_away, note_away, note_here


def accept_once(job: NewJob) -> Accepted:
    """Take the job in unless its id is known; `created` says which.

    It always has a row, which is what decides: so one id is one job, on whichever queue. Raises what `accept` raises,
    and `InvalidOption` where the id is that of another task's job.
    """
    connection = connections[jobs_settings().database]
    (marked,) = checked([job])
    with or_unavailable(not in_transaction(connection)), or_invalid():
        if _is_known(connection, marked):
            return Accepted(marked.id, False)
        try:
            with rows.block(connection):
                return write(connection, [marked])[0]
        except IntegrityError:
            # somebody else was faster
            if not _is_known(connection, marked):
                raise
            return Accepted(marked.id, False)


def _is_known(connection: BaseDatabaseWrapper, job: NewJob) -> bool:
    from ..models import Job

    found = Job.objects.using(connection.alias).filter(pk=job.id).values_list("queue", "task").first()
    if found is None:
        found = _found_at_broker(job)
    if found is not None and found != (job.queue, job.task):
        raise InvalidOption(f"id={job.id}: it is a job of {found[1]} on {found[0]}, not of {job.task} on {job.queue}")
    return found is not None


def _found_at_broker(job: NewJob) -> tuple[str, str] | None:
    """Queue and task of the job that a broker beside the rows knows by this id; while it is away the rows decide."""
    broker = get_broker()
    if broker.rows_are_the_queue or is_away():
        return None
    try:
        # one that has ended, and of which nothing is kept, it remembers for a while, and would not take in again
        if not broker.await_ends(job.queue, [job.id]):
            found = None
        elif live := broker.find(job.queue, job.id):
            found = live.queue, live.task
        else:
            found = job.queue, job.task
    except QueueBroken:
        return None
    except BrokerAway:
        note_away()
        return None
    note_here()
    return found
