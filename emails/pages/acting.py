"""What a member does with a campaign: test, start, schedule, pause, resume, cancel. Each is a POST, and is noted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.member_pages import member_page, person_of
from config.queues import email
from jobs import limits

from .. import services
from ..audience import Audience
from ..forms import MomentForm
from ..models import Campaign
from ..progress import progress_of
from ..reach import Reach, reach_of
from .previewing import lead_for
from .seeing import CHANGE_IT, SEND, campaign_of, log

#: A test's key, so that a second click sends no second mail.
LONGEST_KEY = 40


@require_POST
@member_page
def test(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Send the mail to who asks, as the lead that is shown would get it."""
    person = person_of(request)
    campaign = campaign_of(person, campaign_id, CHANGE_IT)
    lead = lead_for(campaign, person, request.POST.get("lead", ""))
    if lead._state.adding:
        raise Http404
    key = request.POST.get("key", "")[:LONGEST_KEY] or str(uuid4())
    if services.send_campaign_test(campaign, lead, person, key) is not None:
        log(person, campaign, _("Test sent."))
    messages.success(request, _("A test is on its way to %(address)s.") % {"address": person.email})
    return redirect(f"{campaign.get_absolute_url()}?lead={lead.pk}")


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def start(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Say how many get it, and begin on POST, now or at the time that was chosen; once, whoever else does so."""
    person = person_of(request)
    campaign = campaign_of(person, campaign_id, SEND)
    if campaign.state != Campaign.State.DRAFT:
        return _not_begun(request, campaign)
    later = request.method == "POST" and "later" in request.POST
    form = MomentForm(request.POST if later else None)
    if request.method == "POST" and (not later or form.is_valid()):
        at = form.cleaned_data["at"] if later else None
        if services.send_campaign(campaign.pk, at=at, as_seen=request.POST.get("seen", "-")) is None:
            return _not_begun(request, campaign)
        if at is None:
            log(person, campaign, _("Sending began."))
            messages.success(request, _("The campaign is being sent."))
        else:
            when = date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT")
            log(person, campaign, _("Scheduled for %(time)s") % {"time": when})
            messages.success(request, _("Scheduled for %(time)s: the campaign begins by itself.") % {"time": when})
        return redirect(campaign)
    reach = reach_of(campaign)
    context = {
        "campaign": campaign,
        "reach": reach,
        "form": form,
        "audience": Audience.of(campaign.audience).in_words(),
        "takes": _takes(reach),
        "zone": timezone.get_current_timezone_name(),
    }
    return render(request, "emails/campaigns/start.html", context, status=400 if form.is_bound else 200)


@require_POST
@member_page
def unschedule(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Make a scheduled campaign a draft again."""
    return _do(request, campaign_id, services.unschedule_campaign, _("The campaign is a draft again."))


@require_POST
@member_page
def pause(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Let none of its mails leave until it is resumed."""
    return _do(request, campaign_id, services.pause_campaign, _("The campaign is paused."))


@require_POST
@member_page
def resume(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Let its mails leave again."""
    return _do(request, campaign_id, services.resume_campaign, _("The campaign goes on."))


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def cancel(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Never send the rest, once it is confirmed."""
    if request.method == "POST":
        return _do(request, campaign_id, services.cancel_campaign, _("The campaign is cancelled."))
    campaign = campaign_of(person_of(request), campaign_id, SEND)
    now = progress_of(campaign)
    left = now.waiting + now.deferred
    text = ngettext(
        "%(left)s lead has not got it yet, and never will. This cannot be undone.",
        "%(left)s leads have not got it yet, and never will. This cannot be undone.",
        left,
    )
    context: dict[str, Any] = {
        "campaign": campaign,
        "title": _("Cancel this campaign?"),
        "text": text % {"left": number_format(left, force_grouping=True)},
        "button": _("Cancel the campaign"),
    }
    return render(request, "emails/campaigns/confirm.html", context)


def _do(request: HttpRequest, campaign_id: UUID, service: Callable[[UUID], bool], done: str) -> HttpResponse:
    person = person_of(request)
    campaign = campaign_of(person, campaign_id, SEND)
    if service(campaign.pk):
        log(person, campaign, done)
        messages.success(request, done)
    else:
        campaign.refresh_from_db()
        text = _("Nothing was changed: the campaign is %(state)s.")
        messages.warning(request, text % {"state": campaign.get_state_display()})
    return redirect(campaign)


def _not_begun(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    campaign.refresh_from_db()
    if campaign.state == Campaign.State.DRAFT:
        text = _("The campaign was changed since you looked at it. Look again, then start it.")
    else:
        text = _("The campaign was started before: it is %(state)s.") % {"state": campaign.get_state_display()}
    messages.warning(request, text)
    return redirect(campaign)


def _takes(reach: Reach) -> str:
    """How long it takes at least; empty where the queue has no limit."""
    pace = limits(email).rate_limit
    if pace is None:
        return ""
    minutes = max(1, math.ceil(reach.gets / (pace.limit / pace.per) / 60))
    if minutes < 120:
        return ngettext("at least %d minute", "at least %d minutes", minutes) % minutes
    hours = math.ceil(minutes / 60)
    return ngettext("at least %d hour", "at least %d hours", hours) % hours
