"""Edit: a job that waits, or a dead letter, gets other arguments; one that waits with them all that can be changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from ..broker.changes import Change, ChangeAnswer
from ..define.edits import edited, edited_json
from ..define.reference import HasId, id_of
from ..errors import InvalidArguments, Refused
from ..history import lookup
from ..models import Job
from ..states import ENDED, State
from .arguments import edited_message
from .audit import note
from .change import change_now, checked_priority, refuse_unless_changed, timed_change

#: How often arguments are read anew that somebody else has changed in between.
LOOKS = 10


def edit(job: HasId | UUID | str, changed: Mapping[str, Any], by: AbstractBaseUser | None = None) -> None:
    """Give a job that waits, or a dead letter before its retry, other values of these named arguments.

    Those that are not named stay. Raises `InvalidArguments` (a TypeError) for what the task does not take,
    `UnknownJob`, and `Refused` for a job that runs or has ended, that no code here can read, that would belong to
    somebody else or have another key, or where `by` may not change what the task calls personal.
    """
    _edit_and_note(job, changed, edited, by)


def edit_json(job: HasId | UUID | str, changed: Mapping[str, Any], by: AbstractBaseUser | None = None) -> None:
    """The same with JSON values, which are read as the arguments' annotations say."""
    _edit_and_note(job, changed, edited_json, by)


def amend(
    job: HasId | UUID | str,
    *,
    arguments: Mapping[str, Any] | None = None,
    priority: int | None = None,
    at: datetime | None = None,
    by: AbstractBaseUser | None = None,
) -> None:
    """Give a job that waits other arguments (JSON values), another priority and another due time: all or none of it.

    What is left out stays. Raises as `edit`, `set_priority` and `reschedule` do.
    """
    row = lookup.find_job(id_of(job))
    rest = Change() if at is None else timed_change(row, delay=None, at=at)
    rest = rest if priority is None else replace(rest, priority=checked_priority(priority))
    lines = []
    if row.state in ENDED:
        answer = ChangeAnswer.ENDED
    elif arguments:
        answer = edit_now(row, arguments, edited_json, by, rest)
        lines.append(_("Arguments changed: %(names)s.") % {"names": ", ".join(arguments)})
    else:
        answer = change_now(row, rest)
    refuse_unless_changed(row.pk, answer)
    if priority is not None:
        lines.append(_("Priority %(priority)d.") % {"priority": priority})
    if at is not None:
        lines.append(_("Put off or brought forward."))
    note(by, row, " ".join(lines))


def edit_now(
    row: Job,
    changed: Mapping[str, Any],
    make: Callable[..., str] = edited,
    by: AbstractBaseUser | None = None,
    rest: Change | None = None,
) -> ChangeAnswer:
    """Give it these arguments, and of a job that waits change the `rest` with them; answers what became of it."""
    if not changed:
        raise InvalidArguments("edit() takes the arguments to change by their names: edit(name=value)")
    for _look in range(LOOKS):
        text = edited_message(row, changed, by, make)
        if row.state == State.FAILED and rest is None:
            # of a dead letter its row is the truth on every broker
            rows = lookup.all_jobs().filter(pk=row.pk, run=row.run, state=State.FAILED, message=row.message)
            if rows.update(message=text):
                return ChangeAnswer.CHANGED
        else:
            answer = change_now(row, replace(rest or Change(), message=text, was=row.message))
            if answer is not ChangeAnswer.OTHER:
                return answer
        row = lookup.find_job(row.pk)
    raise Refused(_("job %(id)s is being changed by others; try again") % {"id": row.pk})


def _edit_and_note(
    job: HasId | UUID | str, changed: Mapping[str, Any], make: Callable[..., str], by: AbstractBaseUser | None
) -> None:
    row = lookup.find_job(id_of(job))
    refuse_unless_changed(row.pk, edit_now(row, changed, make, by))
    # the names only: a value may be personal
    note(by, row, _("Arguments changed: %(names)s.") % {"names": ", ".join(changed)})
