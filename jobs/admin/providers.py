"""The page of what tasks call and share: each provider with its calls, breaker and limit; the limits of the queues."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext

from admin_lists.marks import Mark, marked

from ..broker import get_broker
from ..broker.standing import Pace
from ..errors import BrokerAway, UnknownBreaker
from ..history.breakers import SeenBreaker, Stand, database_now, text_of_state
from ..history.limits import UsedLimits, text_of_limit, used_limits
from ..history.providers import SeenProvider, providers
from ..history.verdict import duration
from ..models import Job
from ..operate.breakers import close_breaker, open_breaker
from .limits import CHANGE
from .sight import sees_all

MARKS = {Stand.CLOSED: Mark("good", "check"), Stand.OPEN: Mark("bad", "cross"), Stand.HALF_OPEN: Mark("again", "half")}


def providers_page(request: HttpRequest, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """The lists, and what the buttons of the breakers send."""
    if not (model_admin.has_view_permission(request) and sees_all(request)):
        raise PermissionDenied
    if request.method == "POST":
        return _act(request, model_admin)
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    site, used = model_admin.admin_site.name, list[UsedLimits]()
    try:
        now, used = get_broker().now(), used_limits()
    except BrokerAway as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        now = database_now()
    may_change = _may_change(request)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Providers and limits"),
        "subtitle": None,
        "opts": model_admin.opts,
        "providers": [_line(one, site) for one in providers()],
        "queues": [_queue_line(one, site if may_change else "") for one in used],
        "now": now,
        "may_change": may_change,
    }
    request.current_app = site
    return TemplateResponse(request, "admin/jobs/provider/list.html", context)


def _may_change(request: HttpRequest) -> bool:
    return request.user.has_perm(CHANGE) and sees_all(request, CHANGE)


def _act(request: HttpRequest, model_admin: ModelAdmin[Job]) -> HttpResponse:
    if not _may_change(request):
        raise PermissionDenied
    name, by = request.POST.get("breaker", ""), cast(AbstractBaseUser, request.user)
    act, done = {
        "open": (open_breaker, gettext("Breaker %(name)s is open until somebody closes it.")),
        "close": (close_breaker, gettext("Breaker %(name)s is closed: the jobs of its tasks start again.")),
    }.get(request.POST.get("act", ""), (None, ""))
    if act is None:
        model_admin.message_user(request, gettext("Say whether to open or to close it."), messages.ERROR)
    else:
        try:
            act(name, by=by)
        except UnknownBreaker as refusal:
            model_admin.message_user(request, capfirst(str(refusal)), messages.ERROR)
        else:
            model_admin.message_user(request, done % {"name": name}, messages.SUCCESS)
    return HttpResponseRedirect(reverse(f"{model_admin.admin_site.name}:jobs_shared_limits"))


def _line(one: SeenProvider, site: str) -> dict[str, Any]:
    calls, failure = one.calls, one.failure
    return {
        "seen": one,
        "breaker": None if one.breaker is None else _breaker(one.breaker),
        "hours": [number for number, _failed in calls.hours],
        "failed_hours": [failed for _number, failed in calls.hours],
        "failed": _percent(calls.failed_share) if calls.by_outcome["failed"] else "",
        "others": [
            text % {"count": calls.by_outcome[outcome]}
            for outcome, text in (("slowed", gettext("%(count)d slowed")), ("refused", gettext("%(count)d refused")))
            if calls.by_outcome[outcome]
        ],
        "mean": duration(calls.mean),
        "slowest": duration(calls.slowest),
        "job": reverse(f"{site}:jobs_job_change", args=[failure.job_id]) if failure and failure.job_id else "",
    }


def _breaker(seen: SeenBreaker) -> dict[str, Any]:
    values = {"failures": seen.failures, "most": seen.breaker.failures, "within": f"{seen.breaker.within:.15g}"}
    return {
        "seen": seen,
        "state": marked(MARKS[Stand(seen.state)], text_of_state(seen)),
        "failures": gettext("%(failures)d of %(most)d failures in %(within)s s") % values,
    }


def _queue_line(one: UsedLimits, site: str) -> dict[str, Any]:
    held, pace = one.held, one.pace
    return {
        "used": one,
        "rate": text_of_limit(held.rate_limit),
        "taken": "" if pace is None else _taken(pace),
        "frees_at": None if pace is None else pace.frees_at,
        "most": text_of_limit(held.global_concurrency),
        "address": reverse(f"{site}:jobs_queue_limits", args=[held.queue]) if site else "",
    }


def _taken(pace: Pace) -> str:
    return gettext("%(taken)d of %(limit)d taken") % {"taken": pace.taken, "limit": pace.rate.limit}


def _percent(share: float) -> str:
    """A share as people say it; what is not nothing does not read as nothing."""
    percent = 100 * share
    return gettext("%(number)s %% failed") % {"number": number_format(percent, 0 if percent >= 1 else 1)}
