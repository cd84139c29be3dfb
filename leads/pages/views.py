"""The members' views of leads: list, board, a lead's page, and what is done there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods

from accounts import sight
from accounts.member_pages import member_page, person_of
from accounts.roles import roles_of
from admin_lists.counts import Capped
from admin_lists.pages import AFTER, BEFORE

from ..acting import act as do
from ..acting import action_for, actions_for, form_of
from ..models import Lead, LeadStatus
from ..timeline import timeline
from .choosing import ORDER, UNASSIGNED, Choice, band_of, lead_of
from .describing import advice_on, consents_of, lead_details, messages_of, steps_of

#: Cards of one column.
CARDS = 20
#: What the lead's page asks for in place; the rest has a page of its own.
IN_PLACE = ("assign", "status", "note")


@require_GET
@member_page
def leads(request: HttpRequest) -> HttpResponse:
    """The list: mine, unassigned, all."""
    choice = Choice(person_of(request), request.GET)
    page, path = choice.page(), reverse("leads:list")
    rows = page.rows
    shared = _shared(choice, path, page.count)
    context = {
        **shared,
        "forms_of": choice.organizations[:3],
        "unassigned": next(tab for tab in shared["tabs"] if tab.name == UNASSIGNED),
        "rows": [_card(lead) for lead in rows],
        "newer": choice.address(path, **{AFTER: ORDER.key_text(rows[0])}) if rows and page.newer else "",
        "older": choice.address(path, **{BEFORE: ORDER.key_text(rows[-1])}) if rows and page.older else "",
        "newest": choice.address(path) if page.newer else "",
    }
    return render(request, "leads/pages/list.html", context)


@require_GET
@member_page
def board(request: HttpRequest) -> HttpResponse:
    """A column for each status, with its newest leads."""
    choice = Choice(person_of(request), request.GET, by_status=False)
    path, movable = reverse("leads:board"), _where(choice, "leads.change_lead_status")
    columns = []
    for status in LeadStatus:
        page, count = choice.column(status, CARDS)
        columns.append(
            {
                "status": status,
                "others": [one for one in LeadStatus if one != status],
                "count": count,
                "cards": [{**_card(lead), "movable": movable(lead)} for lead in page.rows],
                "more": choice.address(reverse("leads:list"), status=status.value) if page.older else "",
            }
        )
    context = {**_shared(choice, path), "columns": columns, "here": request.get_full_path()}
    return render(request, "leads/pages/board.html", context)


@require_GET
@member_page
def lead(request: HttpRequest, lead_id: UUID) -> HttpResponse:
    """A lead, for those who may see it; nobody else learns that it exists."""
    return _show(request, lead_of(person_of(request), lead_id))


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def act(request: HttpRequest, lead_id: UUID, name: str) -> HttpResponse:
    """Ask what the action needs to know; do it on POST."""
    person = person_of(request)
    shown = lead_of(person, lead_id)
    action = action_for(shown, person, name)
    form = form_of(action, shown)(request.POST if request.method == "POST" else None)
    if request.method == "POST" and (done := do(action, shown, person, form)):
        messages.success(request, done)
        return redirect(_next(request, shown))
    status = 400 if form.is_bound else 200
    return render(request, "leads/pages/act.html", {"lead": shown, "action": action, "form": form}, status=status)


def _show(request: HttpRequest, lead: Lead) -> HttpResponse:
    person = person_of(request)
    actions = actions_for(lead, person)
    context = {
        "lead": lead,
        "band": band_of(lead.score),
        "messages_of_lead": messages_of(lead),
        "timeline": timeline(lead),
        "advice": advice_on(lead),
        "steps": steps_of(lead),
        "consents": consents_of(lead),
        "is_member": lead.organization_id in roles_of(person),
        "forms": {name: form_of(actions[name], lead)(auto_id=f"{name}_%s") for name in IN_PLACE if name in actions},
        "may_edit": lead.erased_at is None and sight.may(person, "leads.change_lead", lead.organization_id),
        "other_actions": [action for name, action in actions.items() if name not in IN_PLACE],
        "shows_admin": person.is_staff and sight.may(person, "leads.view_lead", lead.organization_id),
        **lead_details(lead),
    }
    return render(request, "leads/pages/lead.html", context)


def _shared(choice: Choice, path: str, known: Capped | None = None) -> dict[str, Any]:
    return {
        "form": choice.form,
        "may_add": sight.may_somewhere(choice.person, "leads.add_lead"),
        "may_import": sight.may_somewhere(choice.person, "leads.view_leadimport"),
        "may_export": sight.may_somewhere(choice.person, "leads.export_lead"),
        "export_address": choice.address(reverse("leads:export")),
        "tabs": choice.tabs(path, known),
        "tab": choice.tab,
        "chosen": bool(choice.chosen),
        "unchosen": f"{path}?show={choice.tab}",
        "many_organizations": len(choice.organizations) > 1,
        "list_address": choice.address(reverse("leads:list")),
        "board_address": choice.address(reverse("leads:board")),
    }


def _card(lead: Lead) -> dict[str, Any]:
    return {"lead": lead, "band": band_of(lead.score)}


def _where(choice: Choice, permission: str) -> Any:
    """Whether the person has the permission where the lead is; asked once for all of them."""
    ids = sight.organization_ids(choice.person, permission)
    return lambda lead: ids is None or lead.organization_id in ids


def _next(request: HttpRequest, lead: Lead) -> str:
    """Back to where the form stood, if that is a page of this site."""
    wanted = request.POST.get("next", "")
    own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if wanted and own else lead.get_absolute_url()
