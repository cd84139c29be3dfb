"""Whose a job is: what `JOBS["SCOPE"]` answers for a call; else whose the event, or the enqueuing job is."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from ..conf import function_of, jobs_settings
from ..errors import InvalidOption
from .context import event_here, job_here

MAX_SCOPE = 100


def scope_of(
    signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any], *, complete: bool = True
) -> str:
    """The scope of a new job, or an empty text; raises `InvalidOption` for one that cannot be stored.

    The callable is given the call's arguments by their parameters' names and answers whatever `str` makes a name of,
    or None: then it is the scope of the event under whose announcement the job is enqueued, or of the job that enqueues
    it. What it answers may be a function without arguments: that is called only if neither tells (a look into the
    database, say). `complete`: no argument is missing that is to come from another job.
    """
    if not jobs_settings().scope:
        return _inherited()
    bind = signature.bind if complete else signature.bind_partial
    answer = _asked()(bind(*args, **kwargs).arguments)
    if callable(answer):
        inherited = _inherited()
        return inherited or _name(answer())
    return _inherited() if answer is None else _name(answer)


def scope_of_event(event: Any) -> str:
    """The scope of an event: the callable is given its fields by their names."""
    if not jobs_settings().scope:
        return ""
    answer = _asked()({field.name: getattr(event, field.name) for field in dataclasses.fields(event)})
    return _name(None if callable(answer) else answer)


def _inherited() -> str:
    event, parent = event_here(), job_here()
    return (event.scope if event else "") or (parent.scope if parent else "")


def _name(answer: Any) -> str:
    if answer is None:
        return ""
    scope = str(answer)
    if len(scope) > MAX_SCOPE or not scope.isprintable():
        raise InvalidOption(f"JOBS['SCOPE'] answered {scope!r}: expected at most {MAX_SCOPE} printable characters")
    return scope


def _asked() -> Any:
    return function_of("SCOPE", jobs_settings().scope, "a call's arguments")
