"""Edit: a job that waits, or a dead letter, gets other arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from ..broker.changes import Change, ChangeAnswer
from ..define.edits import edited, edited_json
from ..define.message import MessageError
from ..define.reference import HasId, id_of
from ..define.scope import scope_of
from ..errors import InvalidArguments, Refused
from ..history import lookup
from ..models import Job
from ..states import State
from .arguments import check_scope, known_task
from .audit import note
from .change import change_now, refuse_unless_changed

#: How often arguments are read anew that somebody else has changed in between.
LOOKS = 10


def edit(job: HasId | UUID | str, changed: Mapping[str, Any], by: AbstractBaseUser | None = None) -> None:
    """Give a job that waits, or a dead letter before its retry, other values of these named arguments.

    Those that are not named stay. Raises `InvalidArguments` (a TypeError) for what the task does not take,
    `UnknownJob`, and `Refused` for a job that runs or has ended, that no code here can read, or that would belong to
    somebody else.
    """
    _edit_and_note(job, changed, edited, by)


def edit_json(job: HasId | UUID | str, changed: Mapping[str, Any], by: AbstractBaseUser | None = None) -> None:
    """The same with JSON values, which are read as the arguments' annotations say."""
    _edit_and_note(job, changed, edited_json, by)


def edit_now(row: Job, changed: Mapping[str, Any], make: Callable[..., str] = edited) -> ChangeAnswer:
    """The same; answers what became of it."""
    if not changed:
        raise InvalidArguments("edit() takes the arguments to change by their names: edit(name=value)")
    for _look in range(LOOKS):
        text = _message(row, changed, make)
        if row.state == State.FAILED:
            # of a dead letter its row is the truth on every broker
            rows = lookup.all_jobs().filter(pk=row.pk, run=row.run, state=State.FAILED, message=row.message)
            if rows.update(message=text):
                return ChangeAnswer.CHANGED
        elif (answer := change_now(row, Change(message=text, was=row.message))) is not ChangeAnswer.OTHER:
            return answer
        row = lookup.find_job(row.pk)
    raise Refused(_("job %(id)s is being changed by others; try again") % {"id": row.pk})


def _edit_and_note(
    job: HasId | UUID | str, changed: Mapping[str, Any], make: Callable[..., str], by: AbstractBaseUser | None
) -> None:
    row = lookup.find_job(id_of(job))
    refuse_unless_changed(row.pk, edit_now(row, changed, make))
    # the names only: a value may be personal
    note(by, row, _("Arguments changed: %(names)s.") % {"names": ", ".join(changed)})


def _message(row: Job, changed: Mapping[str, Any], make: Callable[..., str]) -> str:
    task = known_task(row)
    if keyed := sorted(set(task.unique) & set(changed)):
        text = _("job %(id)s: %(names)s makes its key: cancel it and enqueue a new one")
        raise Refused(text % {"id": row.pk, "names": ", ".join(keyed)})
    signature = task.signature
    try:
        message = make(signature, row.message, changed)
        present = scope_of(signature.signature, *signature.decode(row.message))
    except MessageError as error:
        raise Refused(_("job %(id)s: %(error)s") % {"id": row.pk, "error": error}) from None
    check_scope(row, signature, message, present)
    return message
