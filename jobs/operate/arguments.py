"""Other arguments for a job that is there: one place that checks them, for an edit and for a retry."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from ..define.edits import edited_json
from ..define.message import VERSION, IncompleteMessage, MessageError, Signature
from ..define.scope import scope_of
from ..errors import InvalidArguments, Refused
from ..history import lookup
from ..models import Job
from .reach import has_permission, visible_scopes

if TYPE_CHECKING:
    from ..define.task import Task

#: What it takes to change arguments.
EDIT = "jobs.edit_job"
#: What it takes to change an argument that a task calls personal; nobody sees its value for that.
EDIT_PERSONAL = "jobs.edit_personal_arguments"


def edited_message(
    job: Job, changes: Mapping[str, Any], by: AbstractBaseUser | None, make: Callable[..., str] = edited_json
) -> str:
    """The job's message with these arguments, by their parameters' names, in place of those that it has.

    `make` says how they are read: as JSON values, or as they are in Python. Raises `InvalidArguments` where they do
    not fit the task as it is now, and `Refused` where no code here knows the task, the stored arguments cannot be read,
    the job's key is made of them, its sequence or group named by one, or `by` may not change what is personal.
    """
    task = known_task(job)
    signature = task.signature
    known = signature.signature.parameters
    hidden = [name for name in changes if name in signature.personal or (signature.personal and name not in known)]
    if by is not None and hidden and not may_edit_personal(by):
        text = _("you may not change the personal argument '%(name)s'")
        raise Refused(text % {"name": hidden[0]})
    if keyed := sorted(set(task.unique) & set(changes)):
        text = _("job %(id)s: %(names)s makes its key: cancel or discard it and enqueue a new one")
        raise Refused(text % {"id": job.pk, "names": ", ".join(keyed)})
    if task.sequence in changes:
        text = _("job %(id)s: %(name)s names its sequence: cancel or discard it and enqueue a new one")
        raise Refused(text % {"id": job.pk, "name": task.sequence})
    if task.group in changes:
        text = _("job %(id)s: %(name)s names its group: cancel or discard it and enqueue a new one")
        raise Refused(text % {"id": job.pk, "name": task.group})
    try:
        message = make(signature, job.message, changes)
    except MessageError as error:
        if make is not edited_json or isinstance(error, IncompleteMessage):
            raise Refused(_("job %(id)s: %(error)s") % {"id": job.pk, "error": error}) from None
        message = _mended(signature, job, changes)
    _check_scope(job, signature, message, _present_scope(signature, job), by)
    return message


def known_task(job: Job) -> Task:
    """The job's task; raises `Refused` where no code here defines it."""
    task = lookup.task_of(job)
    if task is None:
        text = _("job %(id)s: no code here defines its task %(task)s, so its arguments cannot be checked")
        raise Refused(text % {"id": job.pk, "task": job.task})
    return task


def may_edit_personal(by: AbstractBaseUser) -> bool:
    """Whether this person may replace arguments that a task calls personal."""
    return has_permission(by, EDIT_PERSONAL)


def _check_scope(job: Job, signature: Signature, message: str, present: str, by: AbstractBaseUser | None) -> None:
    """Raise `Refused` if the job would be somebody else's with this message, or nobody can say whose it would be."""
    scope = scope_of(signature.signature, *signature.decode(message))
    if not scope and job.scope and by is not None and visible_scopes(by, EDIT) is not None:
        text = _("job %(id)s: its arguments do not say whose they are; only who may edit everybody's jobs changes them")
        raise Refused(text % {"id": job.pk})
    if scope != present:
        text = _("job %(id)s would belong to '%(scope)s' then: enqueue a new one")
        raise Refused(text % {"id": job.pk, "scope": scope})


def _present_scope(signature: Signature, job: Job) -> str:
    """Whose the job is by its arguments; whose it is, where these do not fit the task any more."""
    try:
        return scope_of(signature.signature, *signature.decode(job.message))
    except MessageError:
        return job.scope


def _mended(signature: Signature, job: Job, changes: Mapping[str, Any]) -> str:
    """The message with the changes, of arguments that do not fit the task any more: of these what has a parameter."""
    parameters = signature.signature.parameters
    if unknown := [name for name in changes if name not in parameters]:
        raise InvalidArguments(f"{signature.name}{signature.signature}: there is no argument {unknown[0]!r}")
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [one.name for one in parameters.values() if one.kind in by_place]
    named = dict(zip(positional, job.args, strict=False))
    named |= {name: value for name, value in job.kwargs.items() if name in parameters}
    given = json.dumps({"v": VERSION, "args": [], "kwargs": {**named, **changes}})
    try:
        args, kwargs = signature.decode(given)
    except MessageError as error:
        raise InvalidArguments(str(error)) from None
    return signature.encode(args, kwargs)
