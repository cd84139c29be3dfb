"""The page on which a job gets other arguments, another priority or another due time: a dead letter with its retry."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from .. import clock
from ..define.masks import MASK
from ..errors import BrokerAway, InvalidArguments, InvalidOption, Refused, UnknownJob
from ..history import lookup
from ..models import Job
from ..operate.arguments import EDIT, EDIT_PERSONAL
from ..operate.edit import amend
from ..operate.retry import retry
from ..policy import HIGHEST_PRIORITY, LOWEST_PRIORITY
from ..states import State
from ..visible import visible_json
from .sight import check_reach, may

#: States of jobs that wait.
WAITING = frozenset({State.BLOCKED, State.PENDING, State.QUEUED})
#: And with dead letters: what can be changed.
EDITED = WAITING | {State.FAILED}
#: What it takes: of a job that waits, to change when it is due and before which others; to retry.
MOVE, RETRY = "jobs.promote_job", "jobs.retry_job"


class ArgumentsField(forms.CharField):
    """A JSON object, shown over several lines."""

    widget = forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "class": "vLargeTextField job-json"})

    def prepare_value(self, value: Any) -> Any:
        """What was typed, or the object as text."""
        return value if isinstance(value, str) else visible_json(json.dumps(value, indent=2, ensure_ascii=False))

    def to_python(self, value: Any) -> Any:
        """Raise in words where it is no object."""
        try:
            found = json.loads(value or "")
        except (ValueError, RecursionError) as error:
            raise ValidationError(gettext("This is not JSON: %(error)s.") % {"error": error}) from None
        if not isinstance(found, dict):
            raise ValidationError(gettext('Give a JSON object, the arguments by their names: {"name": "Ada"}.'))
        return found


class ChangeForm(forms.Form):
    """What of the job can be changed by who asks; each value that is not changed stays as it is."""

    arguments = ArgumentsField(label=_("Arguments"), required=False)
    priority = forms.TypedChoiceField(
        label=_("Priority"),
        coerce=int,
        choices=[(number, str(number)) for number in range(HIGHEST_PRIORITY, LOWEST_PRIORITY + 1)],
        help_text=_("1 is the highest."),
    )
    due = forms.DateTimeField(
        label=_("Due"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S"),
        help_text=_("In the site's time zone. Empty, or a time that is past: now."),
    )

    def __init__(self, job: Job, names: frozenset[str], data: QueryDict | None = None) -> None:
        self.shown, self.hidden = shown_arguments(job)
        due = job.ready_at if job.state in WAITING else None
        super().__init__(data, initial={"arguments": self.shown, "priority": job.priority, "due": due})
        for name in self.fields.keys() - names:
            del self.fields[name]

    def clean_arguments(self) -> dict[str, Any]:
        """Those that are other than shown."""
        given: dict[str, Any] = self.cleaned_data["arguments"]
        if missing := sorted(self.shown.keys() - given.keys()):
            text = gettext("%(names)s cannot be left out: put it back, or give it another value.")
            raise ValidationError(text % {"names": ", ".join(missing)})
        return {name: value for name, value in given.items() if _text(value) != _text(self.shown.get(name, ...))}

    def changes(self) -> dict[str, Any]:
        """What `amend` and `retry` take."""
        found: dict[str, Any] = {}
        if given := self.cleaned_data.get("arguments"):
            found["arguments"] = given
        if "priority" in self.changed_data:
            found["priority"] = self.cleaned_data["priority"]
        if "due" in self.changed_data:
            due: datetime | None = self.cleaned_data["due"]
            found["at"] = due or clock.now()
        return found


def shown_arguments(job: Job) -> tuple[dict[str, Any], list[str]]:
    """The arguments that can be shown as they are, by their names; and the names of those that are personal."""
    shown: dict[str, Any] = {}
    hidden: list[str] = []
    for one in lookup.arguments(job):
        # a personal value inside another one must not be written back as its mask
        if one.masked or MASK in _text(one.value):
            hidden.append(one.name)
        elif one.name.isidentifier():
            shown[one.name] = one.value
    return shown, hidden


def changeable(request: HttpRequest, job: Job) -> frozenset[str]:
    """The fields of the form for who looks at this job; none where nothing can be changed."""
    edits = may(request, EDIT, job)
    if job.state == State.FAILED:
        return frozenset(ChangeForm.base_fields) if edits and may(request, RETRY, job) else frozenset()
    moved = {"priority", "due"} if may(request, MOVE, job) else set()
    return frozenset(moved | ({"arguments"} if edits else set()))


def change_page(request: HttpRequest, job_id: UUID, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """The form, and on POST what it asks for."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    site = model_admin.admin_site.name
    check_reach(request, job_id)
    address = reverse(f"{site}:jobs_job_change", args=[job_id])
    try:
        job = lookup.find_job(job_id)
    except (UnknownJob, BrokerAway) as refusal:
        model_admin.message_user(request, capfirst(str(refusal)), messages.ERROR)
        return HttpResponseRedirect(address)
    names = changeable(request, job)
    if not names:
        raise PermissionDenied
    stands = job.state in EDITED
    if request.method != "POST":
        if not stands:
            model_admin.message_user(request, _too_late(job), messages.ERROR)
            return HttpResponseRedirect(address)
        return _page(request, job, ChangeForm(job, names), model_admin, address)
    form = ChangeForm(job, names, request.POST)
    if not stands:
        form.add_error(None, _too_late(job))
    elif not constant_time_compare(request.POST.get("seen", ""), seen(job)):
        form.add_error(
            None,
            gettext(
                "Somebody has changed this job meanwhile. Your changes were not saved: check the job as it is now."
            ),
        )
    elif form.is_valid() and _is_done(form, job, request.user):
        label = pgettext("button", "Retry") if job.state == State.FAILED else pgettext("button", "Change")
        model_admin.message_user(request, gettext("Done: %(what)s.") % {"what": label}, messages.SUCCESS)
        return HttpResponseRedirect(address)
    return _page(request, lookup.find_job(job_id), form, model_admin, address)


def seen(job: Job) -> str:
    """What the form was made from: who sends it has seen this and nothing newer."""
    known = (job.run, job.state == State.FAILED, job.message, job.stored_priority, job.ready_at.isoformat())
    return salted_hmac("jobs.admin.change", repr(known), algorithm="sha256").hexdigest()


def _is_done(form: ChangeForm, job: Job, by: Any) -> bool:
    """Do what the form asks for; what is refused stands at the field that it is about."""
    changes = form.changes()
    try:
        if job.state == State.FAILED:
            retry(job.pk, by, **changes)
        elif not changes:
            form.add_error(None, gettext("Nothing is changed yet."))
        else:
            amend(job.pk, by=by, **changes)
    except InvalidArguments as refusal:
        form.add_error("arguments", str(refusal))
    except InvalidOption as refusal:
        form.add_error("due", str(refusal))
    except (Refused, UnknownJob, BrokerAway) as refusal:
        form.add_error(None, capfirst(str(refusal)))
    return form.is_valid()


def _too_late(job: Job) -> str:
    text = gettext("The job is %(state)s by now: only one that waits, or a dead letter, can be changed.")
    return text % {"state": job.state_word()}


def _page(
    request: HttpRequest, job: Job, form: ChangeForm, model_admin: ModelAdmin[Job], address: str
) -> TemplateResponse:
    dead = job.state == State.FAILED
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Edit and retry") if dead else gettext("Edit"),
        "subtitle": job.task,
        "opts": model_admin.opts,
        "original": job,
        "form": form,
        "seen": seen(job),
        "hidden": ", ".join(form.hidden) if "arguments" in form.fields else "",
        "may_edit_personal": request.user.has_perm(EDIT_PERSONAL),
        "now_shown": ArgumentsField().prepare_value(shown_arguments(job)[0]) if form.is_bound and form.errors else "",
        "label": pgettext("button", "Retry") if dead else pgettext("button", "Save"),
        "back": address,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/jobs/job/edit.html", context)


def _text(value: Any) -> str:
    return "" if value is ... else json.dumps(value, ensure_ascii=False, sort_keys=True)
