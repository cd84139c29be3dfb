"""Discard: a dead letter that nobody will retry, or a job that has ended, is taken away."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from .. import reasons
from ..broker.records import CancelAnswer
from ..define.reference import HasId, id_of
from ..errors import Refused
from ..history import lookup
from ..models import Job
from ..states import ENDED, State
from .audit import note
from .cancel import cancel_now
from .clean import remove
from .commit import with_broker


class DiscardAnswer(StrEnum):
    """What became of a job that was to be discarded."""

    DISCARDED = "discarded"  # a dead letter: it is cancelled now, and history for as long as such are kept
    REMOVED = "removed"  # it had ended: its row and attempts are gone
    LIVE = "live"  # it waits or runs: nothing was done


def discard(job: HasId | UUID | str, by: AbstractBaseUser | None = None, *, only_dead: bool = False) -> DiscardAnswer:
    """Take away a dead letter, which becomes cancelled, or a job that has ended, which is removed with its attempts.

    A dead letter counts as discarded. Raises `UnknownJob`, and `Refused` for a job that waits or runs, with `only_dead`
    for every other one that is no dead letter.
    """
    row = lookup.find_job(id_of(job))
    if only_dead and row.state != State.FAILED:
        text = _("job %(id)s is %(state)s: it is no dead letter any more")
        raise Refused(text % {"id": row.pk, "state": row.shown_state()})
    answer = discard_now(row)
    if answer is DiscardAnswer.LIVE:
        text = _("job %(id)s is %(state)s: only a dead letter or a job that has ended can be discarded; cancel it")
        raise Refused(text % {"id": row.pk, "state": lookup.find_job(row.pk).shown_state()})
    note(by, row, _("Discarded.") if answer is DiscardAnswer.DISCARDED else _("Removed from the history."))
    return answer


def discard_now(row: Job) -> DiscardAnswer:
    """The same; answers what became of it."""
    if row.state not in ENDED:
        return DiscardAnswer.LIVE
    if row.state == State.FAILED:
        act = partial(cancel_now, row.queue, row.pk, reasons.DISCARDED)
        answer = with_broker(act, CancelAnswer.CANCELLED)
        return DiscardAnswer.DISCARDED if answer is CancelAnswer.CANCELLED else DiscardAnswer.LIVE
    rows = lookup.all_jobs().filter(pk=row.pk, run=row.run, state=row.state)
    return DiscardAnswer.REMOVED if remove(rows) else DiscardAnswer.LIVE
