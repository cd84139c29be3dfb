"""Change when a job that waits is due, and its priority. Its arguments: see `edit`."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ..broker import get_broker
from ..broker.changes import Change, ChangeAnswer
from ..broker.database.change import change_blocked
from ..conf import jobs_settings
from ..define.options import NO_OPTIONS
from ..define.reference import HasId, id_of
from ..enqueue.outbox import push_pending
from ..errors import InvalidOption, Refused, UnknownJob
from ..history import lookup
from ..models import Job
from ..policy import stored_priority
from ..states import ENDED, State
from .audit import note
from .commit import with_broker


def reschedule(
    job: HasId | UUID | str,
    *,
    delay: float | timedelta | None = None,
    at: datetime | None = None,
    by: AbstractBaseUser | None = None,
) -> None:
    """Let a job that waits be due in `delay` (seconds or timedelta, from now), or `at` an aware time; past means now.

    Raises `UnknownJob`, `Refused` for a job that runs or has ended, and `InvalidOption` for a wrong value, or where the
    job would expire before it is due.
    """
    row = lookup.find_job(id_of(job))
    refuse_unless_changed(row.pk, reschedule_now(row, delay=delay, at=at))
    note(by, row, _("Put off or brought forward."))


def set_priority(job: HasId | UUID | str, priority: int, by: AbstractBaseUser | None = None) -> None:
    """Give a job that waits another priority, 1 (highest) to 10; it keeps its ready time.

    Raises `UnknownJob`, `Refused` for a job that runs or has ended, and `InvalidOption` for a wrong value.
    """
    row = lookup.find_job(id_of(job))
    refuse_unless_changed(row.pk, set_priority_now(row, priority))
    note(by, row, _("Priority %(priority)d.") % {"priority": priority})


def reschedule_now(row: Job, *, delay: float | timedelta | None, at: datetime | None) -> ChangeAnswer:
    """The same; answers what became of it."""
    return change_now(row, timed_change(row, delay=delay, at=at))


def set_priority_now(row: Job, priority: int) -> ChangeAnswer:
    """The same; answers what became of it."""
    return change_now(row, Change(priority=checked_priority(priority)))


def timed_change(row: Job, *, delay: float | timedelta | None, at: datetime | None) -> Change:
    """The change of when the job is due; raises `InvalidOption`."""
    if (delay is None) == (at is None):
        raise InvalidOption("reschedule() takes either delay= (seconds or timedelta) or at= (an aware datetime)")
    options = NO_OPTIONS.changed(delay=delay, at=at)
    change = Change(delay=None if delay is None else options.delay, at=options.at)
    due = change.ready_at(get_broker().now())
    if row.expires_at is not None and due is not None and due >= row.expires_at:
        text = _("job %(id)s expires at %(expires)s: due after that, it would never run")
        raise InvalidOption(text % {"id": row.pk, "expires": date_format(row.expires_at, "DATETIME_FORMAT")})
    return change


def checked_priority(priority: int) -> int:
    """The priority as it is stored; raises `InvalidOption`."""
    checked = NO_OPTIONS.changed(priority=priority).priority
    if checked is None:
        raise InvalidOption("priority=None: expected a whole number from 1 (highest) to 10 (lowest)")
    return stored_priority(checked)


def change_now(row: Job, change: Change) -> ChangeAnswer:
    """Make a change, after the commit of a transaction that is open and that the broker stands outside of.

    Raises `UnknownJob` where neither the broker nor the outbox has the job.
    """
    answer: ChangeAnswer = with_broker(partial(_change, row.queue, row.pk, change), ChangeAnswer.ASKED)
    return answer


def refuse_unless_changed(job_id: UUID, answer: ChangeAnswer) -> None:
    """Raise `Refused` if nothing was changed."""
    if answer is ChangeAnswer.ACTIVE:
        raise Refused(_("job %(id)s is active: what runs cannot be changed; cancel it, or wait") % {"id": job_id})
    if answer not in (ChangeAnswer.CHANGED, ChangeAnswer.ASKED):
        state = lookup.find_job(job_id).state
        text = _("job %(id)s is %(state)s: only a job that waits can be changed")
        raise Refused(text % {"id": job_id, "state": state})


def _change(queue: str, job_id: UUID, change: Change) -> ChangeAnswer:
    broker = get_broker()
    # twice: a pending job may reach the broker, or a queued one come back from it, between two looks
    for _look in range(2):
        answer = broker.change(queue, job_id, change)
        if answer is not None:
            return answer
        state = lookup.find_job(job_id).state
        if state in ENDED:
            return ChangeAnswer.ENDED
        if state == State.PENDING:
            push_pending([job_id])
        elif state == State.BLOCKED:
            blocked = change_blocked(connections[jobs_settings().database], queue, job_id, change)
            if blocked is not None:
                return blocked
    if (answer := broker.change(queue, job_id, change)) is not None:
        return answer
    text = _("job %(id)s is %(state)s, but its broker does not know it; try again")
    raise UnknownJob(text % {"id": job_id, "state": lookup.find_job(job_id).state})
