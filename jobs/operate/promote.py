"""Promote: a job that waits for its time is due now."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from ..broker import get_broker
from ..define.reference import HasId, id_of
from ..enqueue.outbox import push_pending
from ..errors import Refused
from ..history import lookup
from ..models import Job
from ..states import ENDED, State
from .audit import note
from .commit import with_broker


def promote(job: HasId | UUID | str, by: AbstractBaseUser | None = None) -> None:
    """Make a job that is scheduled, or waits for its next attempt, due now.

    Raises `UnknownJob`, and `Refused` if the job is not queued or is due already.
    """
    job_id = id_of(job)
    row = lookup.find_job(job_id)
    if row.state not in (State.PENDING, State.QUEUED):
        text = _("job %(id)s is %(state)s: only a job that waits for its time can be run now")
        raise Refused(text % {"id": job_id, "state": row.state})
    if not with_broker(partial(_promote, row.queue, job_id), expected=True):
        text = _("job %(id)s is %(state)s and due already")
        raise Refused(text % {"id": job_id, "state": lookup.find_job(job_id).shown_state()})
    note(by, row, _("Made due now."))


def promote_now(row: Job) -> str:
    """The same; answers `changed`, `due` (it was already), `active` or `ended`."""
    if row.state in (State.PENDING, State.QUEUED) and with_broker(partial(_promote, row.queue, row.pk), expected=True):
        return "changed"
    state = lookup.find_job(row.pk).state
    return state if state == State.ACTIVE else "ended" if state in ENDED else "due"


def _promote(queue: str, job_id: UUID) -> bool:
    push_pending([job_id])
    return get_broker().promote(queue, job_id)
