"""What a person does to jobs and queues. The admin and the command line share these functions.

Each may be called inside a transaction: what a broker outside the database must hear, it then hears after the commit.
With `by`, a user, each leaves a line in the admin's log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections, transaction
from django.utils.translation import gettext as _

from .. import reasons
from ..broker import get_broker
from ..broker.database import rows
from ..broker.records import CancelAnswer
from ..conf import jobs_settings
from ..define.queue import find_queue
from ..enqueue.accept import in_transaction, push_pending
from ..errors import Refused, UnknownJob, UnknownQueue
from ..history import lookup
from ..models import Job, QueueState
from ..states import ENDED, MOVES, State
from .audit import note

logger = logging.getLogger("jobs.operations")


def retry(job_id: UUID, by: AbstractBaseUser | None = None) -> None:
    """Let a dead letter begin its next run, due now, with fresh counters.

    Raises `UnknownJob`, and `Refused` if the job is no dead letter or another live job holds its key; it then is a dead
    letter again. Inside a transaction the key is looked at after the commit.
    """
    connection = connections[jobs_settings().database]
    with rows.block(connection):
        run = rows.start_next_run(connection, job_id)
        job = lookup.find_job(job_id)
        if run is None:
            text = _(
                "job %(id)s is %(state)s: only a dead letter (failed) can be retried; "
                "enqueue it again to have it run once more"
            )
            raise Refused(text % {"id": job_id, "state": job.shown_state()})
        note(by, job, _("Retried: run %(run)d begins.") % {"run": run})
    if in_transaction(connection):
        # with autocommit off Django knows no commit to hook on to: the keeper's relay takes the job
        if connection.in_atomic_block:
            _after_commit(partial(_push, job_id))
        return
    _push(job_id)
    job.refresh_from_db()
    if job.run == run and job.state == State.FAILED and not job.starts and job.reason:
        note(by, job, _("Not retried: %(reason)s.") % {"reason": job.shown_reason()})
        text = _("job %(id)s: %(reason)s '%(key)s'; retry it when that job has ended")
        raise Refused(text % {"id": job_id, "reason": job.shown_reason(), "key": job.key})


def cancel(job_id: UUID, by: AbstractBaseUser | None = None) -> CancelAnswer:
    """Cancel a job that waits or is a dead letter; ask one that runs, which may agree.

    Raises `UnknownJob`, and `Refused` for a job that has ended. Inside a transaction a broker outside the database is
    told after the commit; the answer then is `asked`.
    """
    job = lookup.find_job(job_id)
    if State.CANCELLED not in MOVES[State(job.state)]:
        raise Refused(_has_ended(job))
    answer: CancelAnswer = _with_broker(partial(_cancel, job.queue, job_id), CancelAnswer.ASKED)
    if answer is CancelAnswer.ENDED:
        raise Refused(_has_ended(lookup.find_job(job_id)))
    note(by, job, _("Cancelled.") if answer is CancelAnswer.CANCELLED else _("Asked to cancel."))
    return answer


def promote(job_id: UUID, by: AbstractBaseUser | None = None) -> None:
    """Make a job that is scheduled, or waits for its next attempt, due now.

    Raises `UnknownJob`, and `Refused` if the job is not queued or is due already.
    """
    job = lookup.find_job(job_id)
    if job.state not in (State.PENDING, State.QUEUED):
        text = _("job %(id)s is %(state)s: only a job that waits for its time can be run now")
        raise Refused(text % {"id": job_id, "state": job.state})
    if not _with_broker(partial(_promote, job.queue, job_id), expected=True):
        text = _("job %(id)s is %(state)s and due already")
        raise Refused(text % {"id": job_id, "state": lookup.find_job(job_id).shown_state()})
    note(by, job, _("Made due now."))


def pause(queue: str, by: AbstractBaseUser | None = None) -> None:
    """Let nothing of the queue start any more; what runs, goes on. Raises `UnknownQueue`."""
    check_queue(queue)
    _with_broker(partial(get_broker().pause, queue), None)
    note(by, QueueState(queue=queue), _("Paused."))


def resume(queue: str, by: AbstractBaseUser | None = None) -> None:
    """Let the queue's jobs start again. Raises `UnknownQueue`."""
    check_queue(queue)
    _with_broker(partial(get_broker().resume, queue), None)
    note(by, QueueState(queue=queue), _("Resumed."))


def dead_letters(queue: str, task: str = "", limit: int = 1_000) -> Sequence[UUID]:
    """The ids of a queue's dead letters, oldest first. Raises `UnknownQueue`."""
    check_queue(queue)
    found = lookup.all_jobs().filter(queue=queue, state=State.FAILED)
    if task:
        found = found.filter(task=task)
    return list(found.order_by("pk").values_list("pk", flat=True)[:limit])


def _has_ended(job: Job) -> str:
    return _("job %(id)s is %(state)s: it has ended and cannot be cancelled") % {"id": job.pk, "state": job.state}


def check_queue(queue: str) -> None:
    """Raise `UnknownQueue` unless the queue is defined or holds jobs."""
    try:
        find_queue(queue)
    except UnknownQueue:
        # one that no code defines any more may still hold jobs
        if queue not in lookup.queues_with_jobs():
            raise


def _push(job_id: UUID) -> None:
    try:
        push_pending([job_id])
    except Exception:
        logger.warning("push_after_retry_failed id=%s: the keeper relays it", job_id, exc_info=True)


def _cancel(queue: str, job_id: UUID) -> CancelAnswer:
    reason = reasons.BY_OPERATOR
    # twice: a pending job may reach the broker, or a queued one come back from it, between two looks
    for _look in range(2):
        answer = get_broker().cancel(queue, job_id, reason)
        if answer is not None:
            return answer
        job = lookup.find_job(job_id)
        if job.state in ENDED and job.state != State.FAILED:
            return CancelAnswer.ENDED
        connection = connections[jobs_settings().database]
        if rows.end_pending(connection, job_id, job.run, State.CANCELLED, reason):
            return CancelAnswer.CANCELLED
    text = _("job %(id)s is %(state)s, but its broker does not know it; try again")
    raise UnknownJob(text % {"id": job_id, "state": lookup.find_job(job_id).state})


def _promote(queue: str, job_id: UUID) -> bool:
    push_pending([job_id])
    return get_broker().promote(queue, job_id)


def _with_broker(act: Callable[[], Any], expected: Any) -> Any:
    """Let the broker act now; one that stands outside the open transaction hears of it after the commit."""
    if get_broker().rows_are_the_queue or not connections[jobs_settings().database].in_atomic_block:
        return act()
    _after_commit(act)
    return expected


def _after_commit(act: Callable[[], Any]) -> None:
    transaction.on_commit(act, using=jobs_settings().database, robust=True)
