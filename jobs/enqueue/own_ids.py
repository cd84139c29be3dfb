"""A job with an id of its caller's own is accepted once, however often the call is repeated."""

from __future__ import annotations

from django.db import IntegrityError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..broker import get_broker
from ..broker.database import rows
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..errors import InvalidOption
from .accept import Accepted, checked, or_invalid, or_unavailable, write
from .after_commit import in_transaction


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
    if found is None and not get_broker().rows_are_the_queue and (live := get_broker().find(job.queue, job.id)):
        found = live.queue, live.task
    if found is not None and found != (job.queue, job.task):
        raise InvalidOption(f"id={job.id}: it is a job of {found[1]} on {found[0]}, not of {job.task} on {job.queue}")
    return found is not None
