"""The small forms on the page of a job that waits: when it is due, and its priority."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..models import Job
from ..operate.change import reschedule, set_priority
from ..policy import HIGHEST_PRIORITY, LOWEST_PRIORITY
from ..states import State
from .sight import may

#: Who may let a scheduled job run now may say when else it is due, and before which others.
PERMISSION = "jobs.promote_job"
WAITING = frozenset({State.PENDING, State.QUEUED})
MINUTES_OF_A_YEAR = 365 * 24 * 60


class RescheduleForm(forms.Form):
    """In how many minutes the job is due."""

    minutes = forms.IntegerField(label=_("Due in minutes"), min_value=0, max_value=MINUTES_OF_A_YEAR, initial=0)

    def act(self) -> Callable[..., Any]:
        """What is to be done with the job."""
        return partial(reschedule, delay=timedelta(minutes=self.cleaned_data["minutes"]))


class PriorityForm(forms.Form):
    """Another priority."""

    priority = forms.TypedChoiceField(
        label=_("Priority"),
        coerce=int,
        choices=[(number, str(number)) for number in range(HIGHEST_PRIORITY, LOWEST_PRIORITY + 1)],
    )

    def act(self) -> Callable[..., Any]:
        """What is to be done with the job."""
        return partial(set_priority, priority=self.cleaned_data["priority"])


#: By the last word of the address: the form, and its button's label.
CHANGES: dict[str, tuple[type[RescheduleForm | PriorityForm], Any]] = {
    "reschedule": (RescheduleForm, pgettext_lazy("button", "Reschedule")),
    "priority": (PriorityForm, pgettext_lazy("button", "Change priority")),
}


def forms_of(job: Job, request: HttpRequest, address: Callable[..., str]) -> list[dict[str, Any]]:
    """The forms for who looks at this job; none unless it waits."""
    if job.state not in WAITING or not may(request, PERMISSION, job):
        return []
    return [
        {
            "form": form(initial={"priority": job.priority}, auto_id=f"id_{name}_%s"),
            "label": label,
            "address": address(f"job_{name}", job.pk),
        }
        for name, (form, label) in CHANGES.items()
    ]
