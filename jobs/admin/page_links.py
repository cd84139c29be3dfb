"""Links of the engine's pages, each only where its reader may follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from ..models import Job


@dataclass(frozen=True)
class Link:
    """A text, with an address if the reader may follow it."""

    text: str
    address: str = ""


def job_link(job: Job, site: str) -> Link:
    """A job by its task and the end of its id."""
    return Link(f"{job.task}\N{NO-BREAK SPACE}…{str(job.pk)[-8:]}", reverse(f"{site}:jobs_job_change", args=[job.pk]))


def job_links(seen: QuerySet[Job], site: str, ids: Sequence[UUID]) -> Mapping[UUID, Link]:
    """Each job by its task, with a link, for who may see it; else its id alone."""
    found = {one.pk: job_link(one, site) for one in seen.filter(pk__in=ids).only("task")}
    return {id: found.get(id) or Link(str(id)) for id in ids}


def object_link(label: str, key: str, admin_site: AdminSite, request: HttpRequest) -> Link | None:
    """An object that jobs are about; by its name, with a link, for who may look at this very object."""
    if not label:
        return None
    bare = Link(f"{label}:{key}")
    try:
        model = apps.get_model(label)
        shown: Any = admin_site._registry.get(model)
        found = None if shown is None else shown.get_object(request, str(key))
    except (LookupError, ValueError):
        return bare
    if found is None or not shown.has_view_permission(request, found):
        return bare
    options = model._meta
    address = reverse(f"{admin_site.name}:{options.app_label}_{options.model_name}_change", args=[quote(key)])
    return Link(f"{options.verbose_name}: {found}", address)
