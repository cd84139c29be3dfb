"""The pages on which a file of leads is brought in: upload, columns, preview, progress, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import condition, require_GET, require_http_methods, require_POST

from accounts import sight
from accounts.member_pages import member_page, person_of
from accounts.models import User
from admin_lists.owners import rows_of, streams_of
from admin_lists.pages import BEFORE, Order, Page, read_page

from .. import services
from ..imports.preview import preview_of, samples_of
from ..imports.reading import UnreadableFile
from ..imports.running import COUNTS, counts_of
from ..models import UNDER_WAY, ImportPiece, ImportState, LeadImport, unpacked
from .import_forms import MappingForm, UploadForm
from .sending import csv_response

SHOWN = 50
VIEW, ADD, ASSIGN = "leads.view_leadimport", "leads.add_leadimport", "leads.assign_lead"
_ORDER = Order(LeadImport, ("created_at", "pk"))


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def imports(request: HttpRequest) -> HttpResponse:
    """The imports of the person's organizations, newest first; a file that is uploaded becomes one."""
    person = person_of(request)
    if not sight.may_somewhere(person, VIEW):
        raise Http404
    organizations = sight.organizations(person, ADD)
    form = None
    if organizations.exists():
        sent = (request.POST, request.FILES) if request.method == "POST" else (None, None)
        form = UploadForm(*sent, organizations=organizations)
    elif request.method == "POST":
        raise PermissionDenied
    if form is not None and form.is_bound and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            stored = services.store_import(
                form.chosen_organization, file.file, name=file.name, size=file.size, actor=person
            )
        except UnreadableFile as error:
            form.add_error("file", str(error))
        else:
            return redirect("leads:import_mapping", stored.pk)
    page = _page(person, request.GET.get(BEFORE, ""))
    context = {
        "form": form,
        "rows": [{"import": row, "counts": _counts(row)} for row in page.rows],
        "many_organizations": sight.organizations(person, VIEW).count() > 1,
        "older": _ORDER.key_text(page.rows[-1]) if page.rows and page.older else "",
        "newer": page.newer,
    }
    return render(request, "leads/pages/imports.html", context, status=400 if form and form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def mapping(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """What each column is, and what is done with the rows."""
    lead_import = _draft_of(request, import_id)
    if lead_import.state != ImportState.DRAFT:
        return redirect("leads:import", import_id)
    assign = sight.may(person_of(request), ASSIGN, lead_import.organization_id)
    form = MappingForm(
        request.POST if request.method == "POST" else None,
        instance=lead_import,
        assign=assign,
        samples=samples_of(lead_import),
    )
    if form.is_bound and form.is_valid():
        choices = {"assignee": None, **form.cleaned_data}
        try:
            services.choose_mapping(lead_import, form.mapping, choices, assign=assign)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect("leads:import_preview", import_id)
    context = {"import": lead_import, "form": form}
    return render(request, "leads/pages/import_mapping.html", context, status=400 if form.is_bound else 200)


@require_GET
@member_page
def preview(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """The first rows as they will be read."""
    lead_import = _draft_of(request, import_id)
    if lead_import.state != ImportState.DRAFT:
        return redirect("leads:import", import_id)
    shown = preview_of(lead_import)
    context = {"import": lead_import, "preview": shown, "wrong": sum(row.outcome == "wrong" for row in shown.rows)}
    return render(request, "leads/pages/import_preview.html", context)


def _state(request: HttpRequest, import_id: UUID) -> str:
    """What tells two states of an import apart, and in which words."""
    lead_import = _import_of(request, import_id)
    counts = ".".join(str(number) for number in _counts(lead_import).values())
    return f'"{lead_import.state}.{counts}.{lead_import.started_at}.{get_language()}"'


@require_GET
@member_page
def show(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """How far an import has come, and what has become of its rows."""
    lead_import = _import_of(request, import_id)
    if lead_import.state == ImportState.DRAFT:
        return redirect("leads:import_mapping", import_id)
    # before the counts: what happens meanwhile is asked for at the next look
    state = _state(request, import_id)
    return render(request, "leads/pages/import.html", {**_progress(request, lead_import), "state": state})


@require_GET
@member_page
@condition(etag_func=_state)
def progress(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """The part of the page that changes; 304 to who has it already."""
    return render(request, "leads/pages/import_progress.html", _progress(request, _import_of(request, import_id)))


@require_POST
@member_page
def start(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Begin, or go on with the rest; a second click finds it begun."""
    lead_import = _draft_of(request, import_id)
    try:
        services.start_import(lead_import.pk, actor=person_of(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("leads:import_mapping", import_id)
    return redirect("leads:import", import_id)


@require_POST
@member_page
def cancel(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Do no more of it."""
    if services.cancel_import(_draft_of(request, import_id).pk, actor=person_of(request)):
        messages.success(request, _("The import is being cancelled. What was imported stays."))
    return redirect("leads:import", import_id)


@require_POST
@member_page
def discard(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Remove a file that was not started."""
    if services.discard_import(_draft_of(request, import_id).pk, actor=person_of(request)):
        messages.success(request, _("The file was removed."))
    return redirect("leads:imports")


@require_GET
@member_page
def errors(request: HttpRequest, import_id: UUID) -> HttpResponseBase:
    """The rows that are wrong, as they stand in the file, with their lines and what is wrong with each."""
    lead_import = _import_of(request, import_id)

    def rows() -> Iterator[list[Any]]:
        yield [_("Line"), _("What is wrong"), *lead_import.header]
        for number in pieces:
            piece = ImportPiece.objects.filter(pk=number).first()
            for line, cells, texts in unpacked(piece.wrong_rows) if piece else ():
                yield [line, " ".join(texts), *cells]

    wrong = ImportPiece.objects.filter(lead_import=lead_import, wrong_rows__isnull=False)
    pieces = list(wrong.order_by("number").values_list("pk", flat=True))
    if not pieces:
        raise Http404
    name = f"{lead_import.file_name.rpartition('.')[0] or lead_import.file_name}-{_('errors')}.csv"
    return csv_response(request, name, rows, delimiter=lead_import.delimiter)


def _page(person: User, before: str) -> Page:
    ids = sight.organization_ids(person, VIEW)
    everything = LeadImport.objects.all()
    rows = everything if ids is None else rows_of(everything, "organization", ids)
    try:
        key = _ORDER.key(before) if before else None
    except ValidationError:
        raise Http404 from None
    return read_page(
        rows,
        _ORDER,
        SHOWN,
        before=key,
        streams=lambda part: [part] if ids is None else streams_of(part, "organization", ids),
        fetch=lambda part: part.select_related("organization", "created_by"),
    )


def _import_of(request: HttpRequest, import_id: UUID) -> LeadImport:
    """The import, if the person may see it; raises `Http404`: nobody else learns that it exists."""
    rows = LeadImport.objects.select_related("organization", "created_by", "cancelled_by", "assignee")
    lead_import = rows.filter(pk=import_id).first()
    if lead_import is None or not sight.may(person_of(request), VIEW, lead_import.organization_id):
        raise Http404
    return lead_import


def _draft_of(request: HttpRequest, import_id: UUID) -> LeadImport:
    """The import, if the person may work on it; raises `Http404`, `PermissionDenied`."""
    lead_import = _import_of(request, import_id)
    if not sight.may(person_of(request), ADD, lead_import.organization_id):
        raise PermissionDenied
    return lead_import


def _counts(lead_import: LeadImport) -> dict[str, int]:
    """What has become of the rows by now."""
    if lead_import.state in UNDER_WAY:
        return counts_of(lead_import)
    return {name: getattr(lead_import, name) for name in COUNTS}


def _progress(request: HttpRequest, lead_import: LeadImport) -> dict[str, Any]:
    counts = _counts(lead_import)
    read = sum(counts.values())
    running = lead_import.state in UNDER_WAY
    ends_at = _expected_end(lead_import) if lead_import.state == ImportState.RUNNING else None
    return {
        "import": lead_import,
        "counts": counts,
        "read": read,
        "left": max(0, lead_import.rows - read),
        "percent": min(100, round(100 * read / lead_import.rows)) if lead_import.rows else 100,
        "running": running,
        "ends_at": ends_at,
        "ends_soon": ends_at is not None and ends_at < timezone.now() + timedelta(minutes=1),
        "has_errors": ImportPiece.objects.filter(lead_import=lead_import, wrong__gt=0).exists(),
        "may_work": sight.may(person_of(request), ADD, lead_import.organization_id),
    }


def _expected_end(lead_import: LeadImport) -> datetime | None:
    """When it ends if it goes on as it did; None before the first piece is done."""
    done = ImportPiece.objects.filter(lead_import=lead_import, done_at__gte=lead_import.started_at)
    last = done.order_by("-done_at").values_list("done_at", "rows").first()
    since = done.count()
    if lead_import.started_at is None or last is None or last[0] is None or not since:
        return None
    a_piece: timedelta = (last[0] - lead_import.started_at) / since
    left = ImportPiece.objects.filter(lead_import=lead_import, done_at__isnull=True).count()
    return timezone.now() + a_piece * left
