"""What the list of jobs does to many: to what is ticked at once, to all that match as an operation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext

from admin_lists.counts import Capped
from admin_lists.search import as_uuid

from .. import clock
from ..broker import get_broker
from ..errors import BrokerAway, Refused, UnknownJob
from ..history import lookup
from ..history.find import count
from ..models import Job
from ..operate.by_filter import rows_of
from ..operate.operations import MOST_IDS, Listed, begin
from .buttons import Button
from .filters import WINDOWS
from .query_box import box_of
from .sight import of_scopes, scopes_with

#: One request works on at most so many jobs.
AT_ONCE = 500
#: Jobs a second that can be chosen; 0: as fast as it goes.
PACES = (0, 1, 10, 100)
#: Parameters of the list's address that say which jobs are meant.
_GIVEN = ("state", "queue", "task", "event_id", "parent_id", "about", "cause")


def act(model_admin: ModelAdmin[Job], request: HttpRequest, rows: QuerySet[Job], button: Button) -> HttpResponse | None:
    """Press a button for many jobs."""
    if request.POST.get("select_across") == "1":
        return _begin_or_ask(model_admin, request, rows, button)
    rows = of_scopes(rows.filter(state__in=button.states), scopes_with(request, button.permission))
    ids = list(rows.order_by("-pk").values_list("pk", flat=True)[: AT_ONCE + 1])
    done, refusals = 0, []
    for job_id in ids[:AT_ONCE]:
        try:
            button.act(job_id, by=_user(request))
            done += 1
        except (Refused, UnknownJob, BrokerAway) as refusal:
            refusals.append(str(refusal))
    _tell(model_admin, request, button, done, refusals, more=len(ids) > AT_ONCE)
    return None


def _begin_or_ask(
    model_admin: ModelAdmin[Job], request: HttpRequest, rows: QuerySet[Job], button: Button
) -> HttpResponse | None:
    if problem := box_of(request).problem:
        # else it would be done to all that the list shows without the query
        model_admin.message_user(request, problem, messages.ERROR)
        return None
    chosen = _listed(request, rows, button)
    # a button is for jobs in its states, whatever the list shows
    meant = rows_of(button.name, chosen, get_broker().now()) if rows.filter(state__in=button.states).exists() else None
    upto = as_uuid(request.POST.get("upto", ""))
    if meant is not None and upto is None and (newest := _newest(meant)) is not None:
        return _ask(model_admin, request, _count(request, meant, chosen, button), newest, button)
    operation = None
    if meant is not None and upto is not None:
        operation = begin(button.name, chosen, _user(request), pace=_pace(request), upto=upto)
    if operation is None:
        _tell(model_admin, request, button, 0, [], more=False)
        return None
    return HttpResponseRedirect(reverse(f"{model_admin.admin_site.name}:jobs_operation_change", args=[operation.pk]))


def _listed(request: HttpRequest, rows: QuerySet[Job], button: Button) -> Listed:
    """What the list shows, and the person may do this to."""
    given: dict[str, Any] = {name: request.GET.get(name, "") for name in _GIVEN}
    if window := WINDOWS.get(request.GET.get("since", "")):
        given["since"] = (clock.now() - window[0]).isoformat()
    box = box_of(request)
    if box.query.text or box.query.args:
        # a search is no filter, but what it finds is bounded
        given["ids"] = tuple(str(pk) for pk in rows.order_by("-pk").values_list("pk", flat=True)[:MOST_IDS])
    elif box.text:
        given |= {"query": box.text, "asked": box.asked.isoformat(), "zone": box.zone}
    given["state"] = given["state"] or box.query.state
    return Listed(**given, scopes=scopes_with(request, button.permission))


def _count(request: HttpRequest, meant: QuerySet[Job], chosen: Listed, button: Button) -> tuple[Capped, bool]:
    """How many that are, and whether all were counted: of what no index answers, those of the newest jobs."""
    box = box_of(request)
    if not (chosen.query and box.query.is_looked_for):
        return lookup.capped_count(meant), True
    rows = rows_of(button.name, replace(chosen, query=""), get_broker().now())
    return count(box.query, rows, box.asked, lambda part: [part.filter(state=state) for state in sorted(button.states)])


def _ask(
    model_admin: ModelAdmin[Job], request: HttpRequest, counted: tuple[Capped, bool], newest: UUID, button: Button
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": button.question,
        "opts": model_admin.opts,
        "count": counted[0],
        "is_whole": counted[1],
        # what arrives after the question was shown is not part of the answer
        "upto": newest,
        "paces": PACES,
        "action": request.POST.getlist("action")[0],
        "label": button.label,
        "back": request.get_full_path(),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/jobs/job/confirm.html", context)


def _tell(
    model_admin: ModelAdmin[Job], request: HttpRequest, button: Button, done: int, refusals: list[str], *, more: bool
) -> None:
    text = ngettext("%(what)s: %(count)d job.", "%(what)s: %(count)d jobs.", done)
    values = {"what": button.label, "count": done}
    model_admin.message_user(request, text % values, messages.SUCCESS if done else messages.WARNING)
    if refusals:
        text = ngettext("%(count)d refused: %(first)s", "%(count)d refused; the first: %(first)s", len(refusals))
        model_admin.message_user(request, text % {"count": len(refusals), "first": refusals[0]}, messages.ERROR)
    if more:
        text = gettext("These were the newest %(count)d; run the action again for the others.")
        model_admin.message_user(request, text % {"count": AT_ONCE}, messages.WARNING)


def _newest(rows: QuerySet[Job]) -> UUID | None:
    return rows.order_by("-pk").values_list("pk", flat=True).first()


def _pace(request: HttpRequest) -> int | None:
    given = request.POST.get("pace", "")
    return int(given) or None if given in map(str, PACES) else None


def _user(request: HttpRequest) -> AbstractBaseUser:
    return cast(AbstractBaseUser, request.user)
