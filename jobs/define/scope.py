"""Whose a job is: what `JOBS["SCOPE"]` answers for a call, or whose the job is that enqueues it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import jobs_settings
from ..errors import InvalidOption
from .context import job_here

MAX_SCOPE = 100


def scope_of(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The scope of a new job, or an empty text; raises `InvalidOption` for one that cannot be stored.

    The callable is given the call's arguments by their parameters' names and answers whatever `str` makes a name of,
    or None.
    """
    path, parent = jobs_settings().scope, job_here()
    answer = _asked(path)(signature.bind(*args, **kwargs).arguments) if path else None
    if answer is None:
        return parent.scope if parent else ""
    scope = str(answer)
    if len(scope) > MAX_SCOPE or not scope.isprintable():
        raise InvalidOption(f"JOBS['SCOPE'] answered {scope!r}: expected at most {MAX_SCOPE} printable characters")
    return scope


@cache
def _asked(path: str) -> Any:
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"JOBS['SCOPE']={path!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ImproperlyConfigured(f"JOBS['SCOPE']={path!r} is no function of a call's arguments")
    return found
