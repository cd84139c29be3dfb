"""Whose jobs a person may do something to: those of the scopes that `JOBS["VISIBLE_SCOPES"]` answers, or all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..conf import function_of, jobs_settings

#: What it takes to look at a job.
VIEW = "jobs.view_job"


def visible_scopes(user: Any, permission: str = VIEW) -> tuple[str, ...] | None:
    """The scopes with whose jobs this person may do what the permission says, sorted; None: with all jobs.

    Without the setting that is everybody who has the permission. Raises `ImproperlyConfigured`.
    """
    path = jobs_settings().visible_scopes
    if not path:
        return None
    find = function_of("VISIBLE_SCOPES", path, "a user and a permission")
    answer: Iterable[Any] | None = find(user, permission)
    # what belongs to nobody is no scope
    return None if answer is None else tuple(sorted({str(scope) for scope in answer} - {""}))


def has_permission(by: object, permission: str) -> bool:
    """Whether this person has the permission, for some job at least; a user model may know no permissions."""
    return bool(getattr(by, "has_perm", lambda name: False)(permission))


def in_both(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The scopes that are in both; None: all."""
    if one is None or other is None:
        return other if one is None else one
    return tuple(sorted({*one} & {*other}))
