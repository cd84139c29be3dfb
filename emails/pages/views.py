"""The list of campaigns, and a campaign's page: a draft with its preview, or how far it has come."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.translation import get_language
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from accounts import sight
from accounts.member_pages import member_page, person_of
from admin_lists.pages import AFTER, BEFORE, Order, read_page

from ..audience import Audience
from ..campaigns import has_mails_to_come
from ..models import Campaign
from ..progress import Progress, progress_of, sent_of
from ..reach import reach_of
from .previewing import composed_for, lead_for, leads_like, next_lead, why_not
from .seeing import ADD, campaign_of, campaigns_of, rights_on

ORDER = Order(Campaign, ("created_at", "pk"))
PAGE = 50
#: A mail's HTML is shown as its reader's program would: nothing in it runs, and nothing is loaded. Only our own page
#: may frame it.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
State = Campaign.State


@require_GET
@member_page
def campaigns(request: HttpRequest) -> HttpResponse:
    """The list, newest first."""
    person = person_of(request)
    try:
        before, after = (ORDER.key(text) if text else None for text in map(request.GET.get, (BEFORE, AFTER)))
    except ValidationError:
        raise Http404 from None
    rows = campaigns_of(person)
    page = read_page(rows, ORDER, PAGE, before=before, after=after, of=rows)
    sent = sent_of(page.rows)
    context = {
        "rows": [
            {
                "campaign": one,
                "sent": sent[one],
                "total": max(one.recipients or 0, sent[one]),
                "at": one.started_at or one.created_at,
            }
            for one in page.rows
        ],
        "newer": ORDER.key_text(page.rows[0]) if page.rows and page.newer else "",
        "older": ORDER.key_text(page.rows[-1]) if page.rows and page.older else "",
        "may_add": sight.may_somewhere(person, ADD),
        "many_organizations": len({one.organization_id for one in page.rows}) > 1,
    }
    return render(request, "emails/campaigns/list.html", context)


@require_GET
@member_page
def campaign(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """A draft with its preview and whom it reaches; else how far the campaign has come."""
    person = person_of(request)
    shown = campaign_of(person, campaign_id)
    rights = rights_on(shown, person)
    lead = lead_for(shown, person, request.GET.get("lead", ""))
    wanted = request.GET.get("q", "").strip()[:200]
    context: dict[str, Any] = {
        "campaign": shown,
        "rights": rights,
        "audience": Audience.of(shown.audience).in_words(),
        "lead": lead,
        "made_up": lead._state.adding,
        "mail": composed_for(shown, lead),
        "why_not": why_not(shown, lead),
        "wanted": wanted,
        "offered": leads_like(shown, person, wanted),
        "another": None if lead._state.adding else next_lead(shown, lead),
        "address": person.email,
    }
    if shown.state in {State.DRAFT, State.SCHEDULED}:
        context["reach"] = reach_of(shown)
    else:
        now = progress_of(shown)
        context |= {**_moving(shown, now), "state": _state_of(request, shown, now)}
    return render(request, "emails/campaigns/campaign.html", context)


@require_GET
@member_page
def progress(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """The part of the page that moves; 304 to who has it already."""
    person = person_of(request)
    shown = campaign_of(person, campaign_id)
    now = progress_of(shown)
    state = _state_of(request, shown, now)
    answer = get_conditional_response(request, etag=state)
    if answer is None:
        context = {"campaign": shown, "rights": rights_on(shown, person), **_moving(shown, now)}
        answer = render(request, "emails/campaigns/progress.html", context)
        answer["ETag"] = state
    return answer


@require_GET
@member_page
@xframe_options_sameorigin
def preview(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """The mail's HTML as this lead would get it, in a sandbox."""
    person = person_of(request)
    shown = campaign_of(person, campaign_id)
    mail = composed_for(shown, lead_for(shown, person, request.GET.get("lead", "")))
    return HttpResponse(mail.html, headers={"Content-Security-Policy": SANDBOX})


def _moving(campaign: Campaign, now: Progress) -> dict[str, Any]:
    to_come = has_mails_to_come(campaign)
    return {
        "progress": now,
        "live": to_come,
        "may_pause": to_come and campaign.state != State.PAUSED,
        "may_resume": campaign.state == State.PAUSED,
        "may_cancel": to_come,
        "mails_address": reverse("campaigns:mails", args=[campaign.pk]),
    }


def _state_of(request: HttpRequest, campaign: Campaign, now: Progress) -> str:
    """What tells two states of the moving part apart, whose it is and in which words."""
    numbers = (now.total, now.sent, now.waiting, now.deferred, now.failed, now.unclear, now.skipped)
    return f'"{campaign.state}.{campaign.run}.{".".join(map(str, numbers))}.{person_of(request).pk}.{get_language()}"'
