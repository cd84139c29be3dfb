"""Other arguments for a dead letter that is retried: checked against its task; `jobs.operate.retry` uses them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from ..define.message import VERSION, MessageError, Signature
from ..define.scope import scope_of
from ..errors import InvalidArguments, Refused
from ..history import lookup
from ..models import Job

#: What it takes to change an argument that a task calls personal; nobody sees its value for that.
EDIT_PERSONAL = "jobs.edit_personal_arguments"


def edited_message(job: Job, changes: Mapping[str, Any], by: AbstractBaseUser | None) -> str:
    """The job's message with these arguments, JSON values by their parameters' names, in place of those that it has.

    Raises `InvalidArguments` where they do not fit the task as it is now, and `Refused` where no code here knows the
    task, or `by` may not change what it calls personal.
    """
    task = lookup.task_of(job)
    if task is None:
        text = _("task '%(task)s' is not known here: its arguments cannot be checked, and so not be changed")
        raise Refused(text % {"task": job.task})
    signature = task.signature
    known = signature.signature.parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in known.values())
    if unknown := [name for name in changes if name not in known and not takes_any]:
        raise InvalidArguments(f"{task.name}{signature.signature}: there is no argument {unknown[0]!r}")
    hidden = [name for name in changes if name in signature.personal or (signature.personal and name not in known)]
    if by is not None and hidden and not _may_edit_personal(by):
        text = _("you may not change the personal argument '%(name)s'")
        raise Refused(text % {"name": hidden[0]})
    try:
        args, kwargs = signature.decode(_with(signature, job, changes))
    except MessageError as error:
        raise InvalidArguments(str(error)) from None
    scope = scope_of(signature.signature, args, kwargs)
    if scope != _present_scope(signature, job):
        text = _("job %(id)s would belong to '%(scope)s' with these arguments: enqueue a new one")
        raise Refused(text % {"id": job.pk, "scope": scope})
    return signature.encode(args, kwargs)


def _present_scope(signature: Signature, job: Job) -> str:
    """Whose the job is by its arguments; whose it is, where these do not fit the task any more."""
    try:
        return scope_of(signature.signature, *signature.decode(job.message))
    except MessageError:
        return job.scope


def _may_edit_personal(by: AbstractBaseUser) -> bool:
    return bool(getattr(by, "has_perm", lambda name: False)(EDIT_PERSONAL))


def _with(signature: Signature, job: Job, changes: Mapping[str, Any]) -> str:
    """The message with the changes, unchecked."""
    parameters = signature.signature.parameters
    arguments = _arguments(signature, job)
    for name, value in changes.items():
        kind = parameters[name].kind if name in parameters else None
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            wanted = list if kind is inspect.Parameter.VAR_POSITIONAL else dict
            if not isinstance(value, wanted):
                expected = "a JSON list" if wanted is list else "a JSON object"
                raise InvalidArguments(f"{signature.name}: argument {name}: expected {expected}")
        if kind is None:
            rest = next(one.name for one in parameters.values() if one.kind is one.VAR_KEYWORD)
            arguments[rest] = {**arguments.get(rest, {}), name: value}
        else:
            arguments[name] = value
    ordered = {name: arguments[name] for name in parameters if name in arguments}
    bound = inspect.BoundArguments(signature.signature, ordered)
    return json.dumps({"v": VERSION, "args": bound.args, "kwargs": bound.kwargs})


def _arguments(signature: Signature, job: Job) -> dict[str, Any]:
    """The job's arguments by name; those that have a parameter, where they do not fit the task any more."""
    try:
        return dict(signature.named(job.args, job.kwargs))
    except TypeError:
        parameters = signature.signature.parameters
        named = [
            one.name for one in parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        ]
        found = dict(zip(named, job.args, strict=False))
        return found | {name: value for name, value in job.kwargs.items() if name in parameters}
