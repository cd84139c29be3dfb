"""The page of what tasks share: limits with the starts of their present period, and breakers, opened and closed."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext

from ..errors import BrokerAway, UnknownBreaker
from ..history.breakers import SeenBreaker, breakers, database_now, text_of_state
from ..history.limits import SharedLimit, shared_limits
from ..models import Job
from ..operate.breakers import close_breaker, open_breaker
from .limits import CHANGE
from .sight import sees_all


def shared_page(request: HttpRequest, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """The lists, and what the buttons of the breakers send."""
    if not (model_admin.has_view_permission(request) and sees_all(request)):
        raise PermissionDenied
    if request.method == "POST":
        return _act(request, model_admin)
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    shared: list[SharedLimit] = []
    try:
        shared = shared_limits()
    except BrokerAway as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Limits and breakers"),
        "subtitle": None,
        "opts": model_admin.opts,
        "limits": shared,
        "breakers": [_line(one) for one in breakers()],
        "now": database_now(),
        "may_change": _may_change(request),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/jobs/queue/shared.html", context)


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


def _line(seen: SeenBreaker) -> dict[str, Any]:
    values = {"failures": seen.failures, "most": seen.breaker.failures, "within": f"{seen.breaker.within:.15g}"}
    return {
        "seen": seen,
        "state": text_of_state(seen),
        "failures": gettext("%(failures)d of %(most)d in %(within)s s") % values,
        "tasks": ", ".join(seen.tasks),
    }
