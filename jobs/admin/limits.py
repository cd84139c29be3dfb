"""The page on which a queue gets other limits than the code says, while it is worked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..errors import BrokerAway, InvalidOption, Refused, UnknownQueue
from ..history.limits import HeldLimits, limits, text_of_limit
from ..models import Job
from ..operate.limits import set_limits
from ..policy import AS_IN_CODE, ONE_YEAR, SHORTEST_PERIOD, InCode, RateLimit
from .sight import sees_all

CHANGE = "jobs.change_limits"
CODE, NONE, OWN = "code", "none", "own"


class LimitsForm(forms.Form):
    """Each limit: what the code says, none, or another one."""

    rate_limit = forms.ChoiceField(label=_("Rate limit"))
    rate_number = forms.IntegerField(label=_("Starts"), min_value=1, max_value=100_000, required=False)
    rate_per = forms.FloatField(
        label=_("In how many seconds"), min_value=SHORTEST_PERIOD, max_value=ONE_YEAR, required=False
    )
    concurrency = forms.ChoiceField(label=_("Concurrency of each worker process"))
    concurrency_number = forms.IntegerField(label=_("Jobs at once"), min_value=1, max_value=1_000, required=False)
    global_concurrency = forms.ChoiceField(label=_("Concurrency over all machines"))
    global_number = forms.IntegerField(label=_("Jobs at once"), min_value=1, max_value=100_000, required=False)

    #: By limit: the fields of its number.
    NUMBERS = {
        "rate_limit": ("rate_number", "rate_per"),
        "concurrency": ("concurrency_number",),
        "global_concurrency": ("global_number",),
    }

    def __init__(self, held: HeldLimits, data: QueryDict | None = None, auto_id: str = "id_%s") -> None:
        super().__init__(data, initial=_initial(held), auto_id=auto_id)
        for name in self.NUMBERS:
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            said = gettext("As in the code: %(limit)s") % {"limit": text_of_limit(held.in_code[name])}
            none = [] if name == "concurrency" else [(NONE, gettext("No limit"))]
            field.choices = [(CODE, said), *none, (OWN, gettext("Another one:"))]

    def clean(self) -> dict[str, Any]:
        """Another limit needs its numbers."""
        cleaned = super().clean() or {}
        for name, numbers in self.NUMBERS.items():
            for number in numbers:
                if cleaned.get(name) == OWN and cleaned.get(number) is None and number not in self.errors:
                    self.add_error(number, gettext("Give a number."))
        return cleaned

    def changes(self) -> dict[str, Any]:
        """What `set_limits` takes; a limit whose fields were left as they were stays."""
        found: dict[str, RateLimit | int | None | InCode] = {}
        for name, numbers in self.NUMBERS.items():
            choice, given = self.cleaned_data[name], [self.cleaned_data[number] for number in numbers]
            if not {name, *(numbers if choice == OWN else ())} & set(self.changed_data):
                continue
            if choice == OWN:
                found[name] = RateLimit(*given) if name == "rate_limit" else given[0]
            else:
                found[name] = AS_IN_CODE if choice == CODE else None
        return found

    def rows(self) -> list[dict[str, Any]]:
        """For the page: each limit with the fields of its numbers."""
        return [{"choice": self[name], "numbers": [self[one] for one in ones]} for name, ones in self.NUMBERS.items()]


def _initial(held: HeldLimits) -> dict[str, Any]:
    def choice(name: str) -> str:
        if name not in held.set_at_run_time:
            return CODE
        return NONE if getattr(held, name) is None else OWN

    rate = held.rate_limit
    return {
        **{name: choice(name) for name in LimitsForm.NUMBERS},
        "rate_number": rate and rate.limit,
        "rate_per": rate and rate.per,
        "concurrency_number": held.concurrency,
        "global_number": held.global_concurrency,
    }


def limits_page(request: HttpRequest, queue: str, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """The form, and on POST what it asks for."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    if not (request.user.has_perm(CHANGE) and sees_all(request, CHANGE)):
        raise PermissionDenied
    overview = reverse(f"{model_admin.admin_site.name}:app_list", args=["jobs"])
    try:
        held = limits(queue)
    except UnknownQueue as refusal:
        model_admin.message_user(request, capfirst(str(refusal)), messages.ERROR)
        return HttpResponseRedirect(overview)
    form = LimitsForm(held, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _is_done(form, queue, request.user):
        text = gettext("The limits of %(queue)s are changed; they hold within a second.")
        model_admin.message_user(request, text % {"queue": queue}, messages.SUCCESS)
        return HttpResponseRedirect(overview)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Limits"),
        "subtitle": queue,
        "opts": model_admin.opts,
        "queue": queue,
        "form": form,
        "back": overview,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/jobs/queue/limits.html", context)


def _is_done(form: LimitsForm, queue: str, by: Any) -> bool:
    """Do what the form asks for; what is refused stands above it."""
    changes = form.changes()
    try:
        if changes:
            set_limits(queue, by=by, **changes)
        else:
            form.add_error(None, gettext("Nothing is changed yet."))
    except (BrokerAway, InvalidOption, Refused) as refusal:
        form.add_error(None, capfirst(str(refusal)))
    return form.is_valid()
