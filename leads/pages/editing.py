"""A lead that a member adds or edits."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import sight
from accounts.member_pages import member_page, person_of

from .. import services
from ..acting import log, still_there
from ..forms import MemberLeadForm
from ..models import Lead
from .choosing import lead_of


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def add(request: HttpRequest) -> HttpResponse:
    """A new lead, in an organization where the person may add one."""
    person = person_of(request)
    organizations = sight.organizations(person, "leads.add_lead")
    if not organizations.exists():
        raise Http404
    form = MemberLeadForm(request.POST if request.method == "POST" else None, organizations=organizations)
    if form.is_valid():
        try:
            with transaction.atomic():
                lead = services.add_lead(form.instance, actor=person)
                log(person, lead, ADDITION)
        except IntegrityError:  # somebody else was faster with the address
            form.add_error("email", _("The organization has a lead with this address."))
        else:
            messages.success(request, _("The lead was added."))
            return redirect(lead.get_absolute_url())
    return _show(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def edit(request: HttpRequest, lead_id: UUID) -> HttpResponse:
    """What is known of the lead, as it should be."""
    person = person_of(request)
    lead = lead_of(person, lead_id)
    if lead.erased_at is not None:
        raise Http404
    if not sight.may(person, "leads.change_lead", lead.organization_id):
        raise PermissionDenied
    form = MemberLeadForm(request.POST if request.method == "POST" else None, instance=lead)
    if form.is_valid():
        try:
            with still_there(), transaction.atomic():
                services.update_lead(form.instance, form.changed_data, actor=person)
                log(person, lead, CHANGE)
        except IntegrityError:
            form.add_error("email", _("The organization has a lead with this address."))
        else:
            messages.success(request, _("The lead was saved."))
            return redirect(lead.get_absolute_url())
    return _show(request, form, lead)


def _show(request: HttpRequest, form: MemberLeadForm, lead: Lead | None) -> HttpResponse:
    context = {"form": form, "lead": lead}
    return render(request, "leads/pages/edit.html", context, status=400 if form.is_bound else 200)
