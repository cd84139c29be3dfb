"""Cancel: a job that waits never starts; one that runs is asked to stop."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.utils.translation import gettext as _

from .. import reasons
from ..broker import get_broker
from ..broker.database import edges, pending
from ..broker.database.causes import discard
from ..broker.records import CancelAnswer
from ..conf import jobs_settings
from ..define.reference import HasId, id_of
from ..errors import Refused, UnknownJob
from ..history import lookup
from ..models import Job
from ..states import ENDED, MOVES, State
from .audit import note
from .commit import with_broker


def cancel(job: HasId | UUID | str, by: AbstractBaseUser | None = None) -> CancelAnswer:
    """Cancel a job that waits or is a dead letter; ask one that runs, which may agree.

    Raises `UnknownJob`, and `Refused` for a job that has ended. Inside a transaction a broker outside the database is
    told after the commit; the answer then is `asked`.
    """
    job_id = id_of(job)
    row = lookup.find_job(job_id)
    if State.CANCELLED not in MOVES[State(row.state)]:
        raise Refused(_has_ended(row))
    answer: CancelAnswer = with_broker(partial(cancel_now, row.queue, job_id, reasons.BY_OPERATOR), CancelAnswer.ASKED)
    if answer is CancelAnswer.ENDED:
        raise Refused(_has_ended(lookup.find_job(job_id)))
    note(by, row, _("Cancelled.") if answer is CancelAnswer.CANCELLED else _("Asked to cancel."))
    return answer


def cancel_now(queue: str, job_id: UUID, reason: str) -> CancelAnswer:
    """Cancel a job wherever it is: with its broker, in the outbox, or a dead letter that its broker has forgotten.

    Raises `UnknownJob` where none of them has it.
    """
    # twice: a pending job may reach the broker, or a queued one come back from it, between two looks
    for _look in range(2):
        answer = get_broker().cancel(queue, job_id, reason)
        if answer is not None:
            return answer
        job = lookup.find_job(job_id)
        if job.state in ENDED and job.state != State.FAILED:
            return CancelAnswer.ENDED
        connection = connections[jobs_settings().database]
        if job.state == State.FAILED and _discard(job, reason):
            return CancelAnswer.CANCELLED
        if edges.cancel_blocked(connection, job_id, reason):
            return CancelAnswer.CANCELLED
        if job.state == State.PENDING:
            # on its way, perhaps: whoever has read the row would give it to the broker all the same
            answer = get_broker().cancel(queue, job_id, reason, pending_run=job.run)
            if answer is not None:
                return answer
        if pending.end_pending(connection, job_id, job.run, State.CANCELLED, reason):
            return CancelAnswer.CANCELLED
    text = _("job %(id)s is %(state)s, but its broker does not know it; try again")
    raise UnknownJob(text % {"id": job_id, "state": lookup.find_job(job_id).state})


def cancel_waiting(jobs: Iterable[tuple[UUID, str]], reason: str) -> set[UUID]:
    """Cancel those of these jobs, given with their queues, that wait with the broker, many at once; returns which."""
    by_queue: dict[str, list[UUID]] = {}
    for job_id, queue in jobs:
        by_queue.setdefault(queue, []).append(job_id)
    gone: set[UUID] = set()
    for queue, ids in by_queue.items():
        gone |= get_broker().cancel_waiting(queue, ids, reason)
    return gone


def _discard(job: Job, reason: str) -> bool:
    """Discard a dead letter that its broker has forgotten; False: it is none any more."""
    return bool(discard(connections[jobs_settings().database], [job.pk], reason))


def _has_ended(job: Job) -> str:
    return _("job %(id)s is %(state)s: it has ended and cannot be cancelled") % {"id": job.pk, "state": job.state}
