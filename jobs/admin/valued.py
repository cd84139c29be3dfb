"""Actions of the job list that ask for a value first: another priority, another due time. Always an operation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from admin_lists.counts import Capped
from admin_lists.search import as_uuid

from .. import clock
from ..broker import get_broker
from ..errors import InvalidOption
from ..models import Job
from ..operate.by_filter import rows_of
from ..operate.change import reschedule, set_priority
from ..operate.operations import Listed, begin
from ..policy import HIGHEST_PRIORITY, LOWEST_PRIORITY
from ..states import State
from . import many
from .buttons import Button
from .query_box import box_of
from .sight import scopes_with

#: What it takes, as on the page where one job is changed.
MOVE = "jobs.promote_job"
_WAITING = frozenset({State.BLOCKED, State.PENDING, State.QUEUED})


class PriorityForm(forms.Form):
    """Another priority."""

    priority = forms.TypedChoiceField(
        label=_("Priority"),
        coerce=int,
        choices=[(number, str(number)) for number in range(HIGHEST_PRIORITY, LOWEST_PRIORITY + 1)],
        help_text=_("1 is the highest."),
    )

    def given(self) -> dict[str, Any]:
        """What `set_priority` takes."""
        return {"priority": self.cleaned_data["priority"]}


class DueForm(forms.Form):
    """Another due time."""

    due = forms.DateTimeField(
        label=_("Due"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S"),
        help_text=_("In the site's time zone. Empty, or a time that is past: now."),
    )

    def given(self) -> dict[str, Any]:
        """What `reschedule` takes."""
        due: datetime | None = self.cleaned_data["due"]
        return {"at": (due or clock.now()).astimezone(UTC)}


#: By the verb of `jobs.operate`.
VALUED: dict[str, tuple[Button, type[PriorityForm] | type[DueForm]]] = {
    button.name: (button, form)
    for button, form in (
        (
            Button(
                "set_priority",
                pgettext_lazy("button", "Change priority"),
                _("Give these jobs another priority?"),
                set_priority,
                MOVE,
                _WAITING,
            ),
            PriorityForm,
        ),
        (
            Button(
                "reschedule",
                pgettext_lazy("button", "Change due time"),
                _("Give these jobs another due time?"),
                reschedule,
                MOVE,
                _WAITING,
            ),
            DueForm,
        ),
    )
}


def act(model_admin: ModelAdmin[Job], request: HttpRequest, rows: QuerySet[Job], verb: str) -> HttpResponse | None:
    """Ask for the value; with it, begin the operation on what is ticked, or on all that match."""
    button, form_class = VALUED[verb]
    across = request.POST.get("select_across") == "1"
    if across and (problem := box_of(request).problem):
        model_admin.message_user(request, problem, messages.ERROR)
        return None
    if across:
        chosen = many.listed(request, rows, button.permission)
    else:
        ids = tuple(str(pk) for pk in rows.order_by("-pk").values_list("pk", flat=True)[: many.AT_ONCE])
        chosen = Listed(ids=ids, scopes=scopes_with(request, button.permission))
    meant = rows_of(verb, chosen, get_broker().now())
    upto = as_uuid(request.POST.get("upto", ""))
    form = form_class(None if upto is None else request.POST)
    newest = meant.order_by("-pk").values_list("pk", flat=True).first() if rows.exists() else None
    if newest is not None and upto is not None and form.is_valid():
        try:
            operation = begin(
                verb, chosen, many.user_of(request), pace=many.pace_of(request), upto=upto, **form.given()
            )
        except InvalidOption as refusal:
            form.add_error(None, str(refusal))
        else:
            if operation is not None:
                return many.to_page_of(model_admin, operation)
            newest = None
    if newest is None:
        many.tell(model_admin, request, button, 0, [], more=False)
        return None
    counted = many.counted(request, meant, chosen, button) if across else (Capped(meant.count()), True)
    ticked = [] if across else request.POST.getlist(ACTION_CHECKBOX_NAME)[: many.AT_ONCE]
    return many.ask(model_admin, request, counted, upto or newest, button, form=form, ticked=ticked)
