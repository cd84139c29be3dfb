"""A draft that a member writes, changes or throws away."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import ADDITION, DELETION
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import sight
from accounts.member_pages import member_page, person_of

from .. import services
from ..forms import MemberCampaignForm
from ..inserting import FIELDS
from ..models import Campaign
from .seeing import ADD, CHANGE_IT, DELETE, VIEW, campaign_of, log


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def add(request: HttpRequest) -> HttpResponse:
    """A new draft, in an organization where the person may write one."""
    person = person_of(request)
    organizations = sight.organizations(person, ADD)
    if not organizations.exists():
        raise Http404
    form = MemberCampaignForm(request.POST if request.method == "POST" else None, organizations=organizations)
    if form.is_valid():
        campaign = form.save()
        log(person, campaign, "", ADDITION)
        seen = sight.may(person, VIEW, campaign.organization_id)
        return redirect(campaign if seen else "campaigns:list")
    return _show(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def edit(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """What it says, and whom it is for; of a draft only."""
    person = person_of(request)
    campaign = campaign_of(person, campaign_id, CHANGE_IT)
    if campaign.state != Campaign.State.DRAFT:
        return _begun(request, campaign)
    form = MemberCampaignForm(request.POST if request.method == "POST" else None, instance=campaign)
    if form.is_valid():
        if not services.edit_campaign(form.instance):
            return _begun(request, campaign)
        log(person, campaign, _("Changed."))
        messages.success(request, _("The campaign was saved."))
        return redirect(campaign)
    return _show(request, form, campaign)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def delete(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Throw a draft away, once it is confirmed."""
    person = person_of(request)
    campaign = campaign_of(person, campaign_id, DELETE)
    if campaign.state != Campaign.State.DRAFT:
        return _begun(request, campaign)
    if request.method == "POST":
        if not services.delete_campaign_draft(campaign.pk):
            return _begun(request, campaign)
        log(person, campaign, "", DELETION)
        messages.success(request, _("The draft was deleted."))
        return redirect("campaigns:list")
    context = {
        "campaign": campaign,
        "title": _("Delete this draft?"),
        "text": _("This cannot be undone."),
        "button": _("Delete"),
    }
    return render(request, "emails/campaigns/confirm.html", context)


def _show(request: HttpRequest, form: MemberCampaignForm, campaign: Campaign | None) -> HttpResponse:
    fields = [(f"{{{name}}}", about) for name, about in FIELDS.items()]
    context = {"form": form, "campaign": campaign, "fields": fields}
    return render(request, "emails/campaigns/edit.html", context, status=400 if form.is_bound else 200)


def _begun(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    messages.warning(request, _("This campaign is no draft any more."))
    return redirect(campaign)
