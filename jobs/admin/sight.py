"""Whose jobs the signed-in person sees."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from admin_lists.owners import rows_of

from ..conf import jobs_settings
from ..models import Job
from ..operate.reach import VIEW, in_both, visible_scopes


def sees_all(request: HttpRequest, permission: str = VIEW) -> bool:
    """Whether the permission holds for everybody's jobs, and so for what concerns whole queues."""
    return scopes_of(request, permission) is None


def scopes_of(request: HttpRequest, permission: str = VIEW) -> tuple[str, ...] | None:
    """`visible_scopes` of the signed-in person; asked once a request."""
    asked: dict[str, tuple[str, ...] | None] = request.__dict__.setdefault("visible_job_scopes", {})
    if permission not in asked:
        asked[permission] = visible_scopes(request.user, permission)
    return asked[permission]


def scopes_with(request: HttpRequest, permission: str) -> tuple[str, ...] | None:
    """The scopes whose jobs the person sees and to which the permission extends; None: all."""
    return in_both(scopes_of(request), scopes_of(request, permission))


def may(request: HttpRequest, permission: str, job: Job | None = None) -> bool:
    """Whether the person has the permission for this job; without one, for some job."""
    if not request.user.has_perm(permission):
        return False
    scopes = scopes_of(request, permission)
    return scopes is None or (bool(scopes) if job is None else job.scope in scopes)


def of_scopes(rows: QuerySet[Job], scopes: tuple[str, ...] | None) -> QuerySet[Job]:
    """The jobs among `rows` that belong to these scopes; None: all."""
    return rows if scopes is None else rows_of(rows, "scope", scopes)


def check_reach(request: HttpRequest, job_id: UUID, permission: str = VIEW) -> None:
    """Raise `PermissionDenied` where the person lacks the permission for this job, `Http404` if they do not see it."""
    if not may(request, permission):
        raise PermissionDenied
    row = Job.objects.using(jobs_settings().database).filter(pk=job_id)
    # as if it were not there
    if not sees_all(request) and not of_scopes(row, scopes_of(request)).exists():
        raise Http404
    allowed = scopes_of(request, permission)
    if allowed is not None and not of_scopes(row, allowed).exists():
        raise PermissionDenied
