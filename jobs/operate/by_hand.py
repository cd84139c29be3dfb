"""Enqueue a task by hand, as the admin's form does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from ..define.message import MessageError
from ..define.scope import scope_of
from ..errors import InvalidArguments, Refused
from ..models import Job
from .audit import note
from .reach import in_both, visible_scopes

if TYPE_CHECKING:
    from ..define.task import Task

#: What it takes.
ENQUEUE = "jobs.enqueue_job"
#: Options that reach into other people's jobs: a live key keeps theirs out, and in their group one takes their turn.
SHARED = frozenset({"key", "group"})


def enqueue_by_hand(
    task: Task, args: Sequence[Any], kwargs: Mapping[str, Any], by: AbstractBaseUser, **options: Any
) -> tuple[UUID, bool]:
    """Enqueue the call with the options of `Task.using`; returns the job's id, and whether it is a new one.

    Only into scopes whose jobs the person sees and may enqueue; a key or a group, which a queue's jobs share whosever
    they are, takes who sees all. Raises `InvalidArguments`, `InvalidOption`, `Refused`,
    and what `Task.enqueue` raises. The admin's log says who did it, and nothing of the arguments.
    """
    prepared = task.using(**options)
    scopes = in_both(visible_scopes(by), visible_scopes(by, ENQUEUE))
    if scopes is not None:
        for name in SHARED & options.keys():
            text = _("%(name)s: the jobs of everybody share it; only who sees all jobs may give one")
            raise Refused(text % {"name": name})
        _check_scope(task, args, kwargs, scopes)
    handle = prepared.enqueue(*args, **kwargs)
    is_new = handle.created is not False
    if is_new:
        note(by, Job(id=handle.id, task=task.name, queue=task.queue.name), _("Enqueued by hand."))
    return handle.id, is_new


def _check_scope(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any], scopes: Sequence[str]) -> None:
    """Raise `Refused` unless the job would belong to one of these scopes."""
    signature = task.signature
    try:
        given = signature.decode(signature.encode(args, kwargs))
    except MessageError as error:
        raise InvalidArguments(str(error)) from None
    scope = scope_of(signature.signature, *given)
    if not scope:
        raise Refused(_("nothing in the arguments says whose the job would be; only who sees all jobs may enqueue it"))
    if scope not in scopes:
        raise Refused(_("the job would belong to '%(scope)s', whose jobs you may not enqueue") % {"scope": scope})
