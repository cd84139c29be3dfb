"""Events in the admin: the newest, and of each its jobs as a tree in time, what it set off, and what its jobs did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext

from admin_lists.owners import streams_of
from admin_lists.search import as_uuid

from .. import clock
from ..history import effects, event_trail, live, lookup
from ..models import Job
from ..origin import origin_of
from ..visible import visible
from .page_links import Link, job_link, object_link
from .sight import of_scopes, scopes_of
from .waterfall import waterfall

#: Objects of one event that are named, and objects of all events of the list that are looked for.
OBJECTS, NAMED = 5, 60


@dataclass(frozen=True, slots=True)
class Effect:
    """A row that a job made or moved, for who may look at it."""

    link: Link
    text: str
    at: Any
    job: Link | None


def event_urls(model_admin: ModelAdmin[Job]) -> list[URLPattern]:
    """The list, an event's page, and the page of all that one request has caused."""
    view, given = model_admin.admin_site.admin_view, {"model_admin": model_admin}
    return [
        path("events/", view(events_page), given, "jobs_job_events"),
        path("events/<uuid:event_id>/", view(event_page), given, "jobs_job_event"),
        path("<uuid:job_id>/request/", view(request_page), given, "jobs_job_request"),
    ]


def events_page(request: HttpRequest, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """The newest events, of a kind or about an object if that is asked for."""
    seen = _check(request, model_admin)
    name, about, before = (request.GET.get(key, "").replace("\x00", "").strip() for key in ("event", "about", "before"))
    label, _colon, key = about.rpartition(":")
    if about:
        types = lookup.types_named(label) if label else lookup.about_types()
        streams = [lookup.about(seen, types, lookup.spellings_of(key))]
    else:
        streams = list(streams_of(seen, "scope", scopes_of(request) or ()))
    found = event_trail.newest_events(streams, name=name, before=as_uuid(before))
    site = model_admin.admin_site.name
    named: dict[tuple[str, str], Link | None] = {}
    for one in (pair for event in found.events for pair in event.about[:OBJECTS]):
        if one not in named:
            # who looks at a long list gets the rest by their ids
            known = len(named) < NAMED
            named[one] = object_link(*one, model_admin.admin_site, request) if known else Link(":".join(one))
    lines = [
        {
            "event": event,
            "address": reverse(f"{site}:jobs_job_event", args=[event.id]),
            "about": [named[pair] for pair in event.about[:OBJECTS]],
        }
        for event in found.events
    ]
    asked = {key: value for key, value in (("event", name), ("about", about)) if value}
    context = {
        "title": gettext("Events"),
        "lines": lines,
        "names": event_trail.event_names(),
        "name": name,
        "about": about,
        "now": clock.now(),
        "is_asked": bool(asked),
        "older": f"?{urlencode({**asked, 'before': str(found.older)})}" if found.older else "",
        "newest": f"?{urlencode(asked)}" if before else "",
    }
    return _page(request, model_admin, "list", context)


def event_page(request: HttpRequest, event_id: UUID, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """An event: its jobs, what they did, and what they announced in their turn."""
    seen = _check(request, model_admin)
    jobs, more = event_trail.jobs_of(seen, event_id)
    if not jobs:
        raise Http404
    site = model_admin.admin_site.name
    cause = event_trail.cause_of(seen, jobs)
    context = {
        "title": visible(jobs[0].event),
        "event_id": event_id,
        "cause": None if cause is None else job_link(cause, site),
        "cause_event": cause if cause is not None and cause.event_id not in (None, event_id) else None,
        "all_jobs": f"{reverse(f'{site}:jobs_job_changelist')}?event_id={event_id}",
        "more": more,
        **_shared(request, model_admin, event_trail.with_what_followed(seen, jobs), event_id),
    }
    return _page(request, model_admin, "page", context)


def request_page(request: HttpRequest, job_id: UUID, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """All jobs that the request caused that caused this one."""
    seen = _check(request, model_admin)
    job = seen.filter(pk=job_id).first()
    request_id = origin_of(job.message).request_id if job is not None else ""
    if job is None or not request_id:
        raise Http404
    jobs, whole = event_trail.jobs_of_request(seen, job, request_id)
    context = {
        "title": gettext("Request %(id)s") % {"id": request_id},
        "note": "" if whole else gettext("Too much was enqueued around that time: these are not all of its jobs."),
        **_shared(request, model_admin, jobs or [job]),
    }
    return _page(request, model_admin, "page", context)


def _check(request: HttpRequest, model_admin: ModelAdmin[Job]) -> Any:
    """The jobs that the person may see."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    live.hear()
    return of_scopes(lookup.all_jobs().defer("result"), scopes_of(request))


def _shared(
    request: HttpRequest, model_admin: ModelAdmin[Job], jobs: Sequence[Job], event_id: UUID | None = None
) -> dict[str, Any]:
    """What the pages of events and requests have in common."""
    site, now = model_admin.admin_site, clock.now()
    jobs = lookup.as_they_read(jobs)
    about = list(dict.fromkeys((job.about_type, job.about_id) for job in jobs if job.about_type))[:OBJECTS]
    origins = (origin_of(job.message).request_id for job in jobs)
    first = next(((id, job) for id, job in zip(origins, jobs, strict=True) if id), None)
    return {
        "fall": waterfall(jobs, site.name, now, event_id),
        "since": min(job.created_at for job in jobs),
        "now": now,
        "about": [link for pair in about if (link := object_link(*pair, site, request)) is not None],
        "effects": _effects(request, model_admin, jobs),
        "request_link": first and Link(first[0], reverse(f"{site.name}:jobs_job_request", args=[first[1].pk])),
    }


def _effects(request: HttpRequest, model_admin: ModelAdmin[Job], jobs: Sequence[Job]) -> list[Effect]:
    """What the jobs did, as far as the reader may look at it: as in the lists of their models."""
    site = model_admin.admin_site
    by_model: dict[type[Model], list[effects.JobEffect]] = {}
    found = effects.effects_of(jobs)
    for one in found:
        by_model.setdefault(type(one.row), []).append(one)
    visible_rows = {
        (model, pk)
        for model, of_model in by_model.items()
        if (shown := site._registry.get(model)) is not None and shown.has_view_permission(request)
        for pk in shown.get_queryset(request)
        .filter(pk__in=[one.row.pk for one in of_model])
        .values_list("pk", flat=True)
    }
    names = {job.pk: job for job in jobs}
    return [
        Effect(
            Link(f"{one.row._meta.verbose_name}: {one.row}", _change(site.name, one.row)),
            one.text,
            one.at,
            job_link(names[one.job_id], site.name) if one.job_id in names else None,
        )
        for one in found
        if (type(one.row), one.row.pk) in visible_rows
    ]


def _change(site: str, row: Model) -> str:
    return reverse(f"{site}:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])


def _page(request: HttpRequest, model_admin: ModelAdmin[Job], name: str, context: dict[str, Any]) -> HttpResponse:
    request.current_app = model_admin.admin_site.name
    base = {**model_admin.admin_site.each_context(request), "subtitle": None, "opts": model_admin.opts}
    return TemplateResponse(request, f"admin/jobs/event/{name}.html", {**base, **context})
