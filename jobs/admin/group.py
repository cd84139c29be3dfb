"""The page of a queue's groups: what waits in each, and pause, resume and limits of one; and its paused tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from admin_lists.moments import exact_time

from ..broker.lanes import LONGEST_GROUP, GroupSeen
from ..define.labels import LONGEST_TAG
from ..errors import BrokerAway, InvalidOption, InvalidPolicy, UnknownQueue
from ..history import lookup
from ..history.live import policy_of
from ..models import Job
from ..operate.groups import PAGE, groups, pause_group, resume_group, set_group_limits
from ..operate.tags import pause_tag, paused_tags, resume_tag
from ..policy import GroupRules, RateLimit
from ..visible import visible
from .sight import sees_all

PAUSE = "jobs.pause_queue"


class GroupForm(forms.Form):
    """What is to be done to which group; the limits are those of `limit`, and an empty one is the queue's."""

    group = forms.CharField(max_length=LONGEST_GROUP, strip=False, label=_("Group"))
    act = forms.ChoiceField(choices=[(name, name) for name in ("pause", "resume", "limit")])
    concurrency = forms.IntegerField(min_value=1, max_value=100_000, required=False, label=_("Running at once"))
    starts = forms.IntegerField(min_value=1, max_value=100_000, required=False, label=_("Starts"))
    per = forms.FloatField(min_value=0.001, required=False, label=_("in so many seconds"))

    @property
    def rate_limit(self) -> RateLimit | None:
        """The pace; without a number of starts there is none."""
        starts = self.cleaned_data["starts"]
        return RateLimit(starts, per=self.cleaned_data["per"] or 1) if starts else None


class TagForm(forms.Form):
    """What is to be done to which tag."""

    tag = forms.CharField(max_length=LONGEST_TAG, strip=False, label=_("Tag"))
    act = forms.ChoiceField(choices=[(name, name) for name in ("pause", "resume")])


@dataclass(frozen=True)
class GroupLine:
    """One line of the page."""

    seen: GroupSeen
    name: str
    waiting: Any
    later: Any
    active: Any
    state: str
    concurrency: str
    pace: str
    has_own: bool
    per: str


def groups_page(request: HttpRequest, queue: str, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """The list, and what its buttons send."""
    if not (model_admin.has_view_permission(request) and sees_all(request)):
        raise PermissionDenied
    if request.method == "POST":
        return _act(request, queue, model_admin)
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    found: Sequence[GroupSeen] = ()
    tags: Sequence[str] = ()
    try:
        tags = paused_tags(queue)
        found = groups(queue, request.GET.get("after", "")[:LONGEST_GROUP].replace("\0", ""), PAGE)
    except UnknownQueue as error:
        raise Http404(str(error)) from error
    except BrokerAway as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    rules = policy_of(queue).groups
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Groups and tags of %(queue)s") % {"queue": queue},
        "subtitle": None,
        "opts": model_admin.opts,
        "lines": [_line(one, rules) for one in found],
        "queue_says": _limits(rules.concurrency, rules.rate_limit),
        "more": f"?{urlencode({'after': found[-1].name})}" if len(found) == PAGE else "",
        "may_change": _may_change(request),
        "longest": LONGEST_GROUP,
        "tags": [(tag, visible(tag)) for tag in tags],
        "longest_tag": LONGEST_TAG,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/jobs/group/list.html", context)


def _may_change(request: HttpRequest) -> bool:
    return request.user.has_perm(PAUSE) and sees_all(request, PAUSE)


def _act(request: HttpRequest, queue: str, model_admin: ModelAdmin[Job]) -> HttpResponse:
    if not _may_change(request):
        raise PermissionDenied
    form = TagForm(request.POST) if "tag" in request.POST else GroupForm(request.POST)
    if form.is_valid():
        by = cast(AbstractBaseUser, request.user)
        try:
            done = _do_tag(form, queue, by) if isinstance(form, TagForm) else _do(form, queue, by)
        except (UnknownQueue, InvalidOption, InvalidPolicy, BrokerAway) as refusal:
            model_admin.message_user(request, capfirst(str(refusal)), messages.ERROR)
        else:
            model_admin.message_user(request, done, messages.SUCCESS)
    for name, errors in form.errors.items():
        text = " ".join(map(str, errors))
        model_admin.message_user(request, f"{form.fields[name].label or name}: {text}", messages.ERROR)
    back = reverse(f"{model_admin.admin_site.name}:jobs_queue_groups", args=[queue])
    after = request.GET.get("after", "")
    return HttpResponseRedirect(f"{back}?{urlencode({'after': after})}" if after else back)


def _do(form: GroupForm, queue: str, by: AbstractBaseUser) -> str:
    """Do what the form says; returns what is done then."""
    group, given = form.cleaned_data["group"], form.cleaned_data
    named = {"group": visible(group)}
    if given["act"] == "limit":
        set_group_limits(queue, group, given["concurrency"], form.rate_limit, by=by)
        return gettext("The limits of group %(group)s are changed.") % named
    act: Callable[..., None] = pause_group if given["act"] == "pause" else resume_group
    act(queue, group, by=by)
    if given["act"] == "pause":
        return gettext("Group %(group)s is paused.") % named
    return gettext("Group %(group)s goes on.") % named


def _do_tag(form: TagForm, queue: str, by: AbstractBaseUser) -> str:
    tag = form.cleaned_data["tag"]
    if form.cleaned_data["act"] == "pause":
        pause_tag(queue, tag, by=by)
        return gettext("Jobs with the tag %(tag)s are paused.") % {"tag": visible(tag)}
    resume_tag(queue, tag, by=by)
    return gettext("Jobs with the tag %(tag)s go on.") % {"tag": visible(tag)}


def _line(seen: GroupSeen, rules: GroupRules) -> GroupLine:
    own = seen.settings
    state = pgettext("group", "paused") if own.paused else ""
    if not own.paused and seen.blocked_until is not None:
        state = gettext("waits until %(time)s") % {"time": exact_time(seen.blocked_until)}
    rate = own.rate_limit or rules.rate_limit
    return GroupLine(
        seen=seen,
        name=visible(seen.name),
        waiting=lookup.capped(seen.waiting),
        later=lookup.capped(seen.scheduled),
        active=lookup.capped(seen.active),
        state=state,
        concurrency=str(own.concurrency or rules.concurrency or "–"),
        pace=_pace(rate) or "–",
        has_own=bool(own.concurrency or own.rate_limit),
        per=f"{own.rate_limit.per if own.rate_limit else 1:.15g}",
    )


def _limits(concurrency: int | None, rate: RateLimit | None) -> str:
    """What the queue says for each of its groups, in words; empty: nothing."""
    said = [gettext("%(count)s at once") % {"count": concurrency}] if concurrency else []
    return ", ".join([*said, *([_pace(rate)] if rate else [])])


def _pace(rate: RateLimit | None) -> str:
    if rate is None:
        return ""
    if rate.per == 1:
        return gettext("%(starts)s a second") % {"starts": number_format(rate.limit)}
    per = number_format(f"{rate.per:.15g}" if rate.per != int(rate.per) else int(rate.per))
    return gettext("%(starts)s in %(per)s s") % {"starts": number_format(rate.limit), "per": per}
