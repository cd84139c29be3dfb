"""Whose jobs a person sees: those of the scopes that `JOBS["VISIBLE_SCOPES"]` answers, or all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from admin_lists.owners import rows_of

from ..conf import function_of, jobs_settings
from ..models import Job


def visible_scopes(user: Any) -> tuple[str, ...] | None:
    """The scopes whose jobs this person sees, sorted; None: all jobs, those without a scope too.

    Without the setting everybody who has the permission sees all jobs. Raises `ImproperlyConfigured`.
    """
    path = jobs_settings().visible_scopes
    if not path:
        return None
    answer: Iterable[Any] | None = function_of("VISIBLE_SCOPES", path, "a user")(user)
    # what belongs to nobody is no scope
    return None if answer is None else tuple(sorted({str(scope) for scope in answer} - {""}))


def sees_all(request: HttpRequest) -> bool:
    """Whether the person sees everybody's jobs, and so what concerns whole queues."""
    return scopes_of(request) is None


def scopes_of(request: HttpRequest) -> tuple[str, ...] | None:
    """`visible_scopes` of the signed-in person; asked once a request."""
    if not hasattr(request, "visible_job_scopes"):
        request.visible_job_scopes = visible_scopes(request.user)  # type: ignore[attr-defined]
    found: tuple[str, ...] | None = request.visible_job_scopes  # type: ignore[attr-defined]
    return found


def of_scopes(rows: QuerySet[Job], scopes: tuple[str, ...] | None) -> QuerySet[Job]:
    """The jobs among `rows` that belong to these scopes; None: all."""
    return rows if scopes is None else rows_of(rows, "scope", scopes)
