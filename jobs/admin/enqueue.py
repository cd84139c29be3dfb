"""The page that enqueues a job by hand: its task, its arguments, and how it is to run."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from admin_lists.search import as_uuid

from ..define.task import Task
from ..defined import find_task, queues
from ..errors import (
    BrokerAway,
    BrokerUnavailable,
    GroupFull,
    InvalidArguments,
    InvalidOption,
    JobsError,
    Refused,
    UnknownTask,
)
from ..history import lookup
from ..models import Job
from ..operate.by_hand import ENQUEUE, enqueue_by_hand
from ..policy import HIGHEST_PRIORITY, LOWEST_PRIORITY
from .call_fields import CallForm, MomentField
from .change import shown_arguments
from .many import user_of
from .sight import may, of_scopes, scopes_of, sees_all

#: Of whatever is in the way, the person is told.
_REFUSALS = (InvalidArguments, InvalidOption, Refused, BrokerAway, BrokerUnavailable, GroupFull)


class HowForm(forms.Form):
    """How this one differs from what the task and its queue say; what is empty does not."""

    at = MomentField(
        label=gettext_lazy("Due"),
        required=False,
        help_text=gettext_lazy("In the site's time zone. Empty, or a time that is past: now."),
    )
    priority = forms.TypedChoiceField(
        label=gettext_lazy("Priority"),
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            ("", pgettext_lazy("priority", "as the task says")),
            *((number, str(number)) for number in range(HIGHEST_PRIORITY, LOWEST_PRIORITY + 1)),
        ],
        help_text=gettext_lazy("1 is the highest."),
    )
    key = forms.CharField(
        label=gettext_lazy("Key"),
        required=False,
        help_text=gettext_lazy("At most one live job of the queue has it: where one is there, none is enqueued."),
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"), required=False, help_text=gettext_lazy("Several with commas between them.")
    )
    group = forms.CharField(
        label=gettext_lazy("Group"), required=False, help_text=gettext_lazy("The groups of a queue take turns.")
    )

    def __init__(
        self, task: Task, data: QueryDict | None = None, initial: dict[str, Any] | None = None, *, shared: bool
    ) -> None:
        super().__init__(data, prefix="how", initial=initial)
        self.task = task
        if task.unique or not shared:
            # its arguments make the key
            del self.fields["key"]
        if task.group or not shared:
            del self.fields["group"]

    def options(self) -> dict[str, Any]:
        """What `Task.using` takes."""
        found = {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}
        if "tags" in found:
            found["tags"] = [tag.strip() for tag in found["tags"].split(",") if tag.strip()]
        return found

    def clean(self) -> dict[str, Any]:
        """Raise what the engine would refuse, at the field that it is about."""
        for name, value in self.options().items():
            try:
                self.task.using(**{name: value})
            except InvalidOption as refusal:
                self.add_error(name, str(refusal))
        return self.cleaned_data


def enqueue_page(request: HttpRequest, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """First the task, then the form of its call; on POST the job."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    if not (model_admin.has_view_permission(request) and may(request, ENQUEUE)):
        raise PermissionDenied
    name = request.GET.get("task", "")
    if not name:
        return _page(request, model_admin, {"tasks": _tasks()})
    try:
        task = find_task(name)
    except UnknownTask:
        text = _("There is no task %(task)s; choose one of these.") % {"task": name}
        model_admin.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(reverse(f"{model_admin.admin_site.name}:jobs_job_enqueue"))
    data = request.POST if request.method == "POST" else None
    like, hidden = (None, []) if data is not None else _like(request)
    try:
        call = CallForm(task, data, like and like["call"])
    except InvalidArguments as error:  # an annotation that nobody can read: no call fits this task
        model_admin.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(reverse(f"{model_admin.admin_site.name}:jobs_job_enqueue"))
    how = HowForm(task, data, like and like["how"], shared=sees_all(request) and sees_all(request, ENQUEUE))
    # both, so that all that is wrong is said at once
    if data is not None and all([call.is_valid(), how.is_valid()]):
        try:
            job_id, is_new = enqueue_by_hand(task, call.args, call.kwargs, user_of(request), **how.options())
        except _REFUSALS as refusal:
            call.add_error(None, capfirst(_said(refusal, task)))
        else:
            told = _("Enqueued.") if is_new else _("Nothing was enqueued: this job stands for it.")
            model_admin.message_user(request, told, messages.SUCCESS if is_new else messages.WARNING)
            return HttpResponseRedirect(reverse(f"{model_admin.admin_site.name}:jobs_job_change", args=[job_id]))
    about = _first_line(task)
    both = [(call, _("Arguments")), (how, _("How"))]
    # not the task itself: a template calls what can be called, and that would enqueue it
    more = {
        "task": task.name,
        "queue": task.queue.name,
        "call": call,
        "how": how,
        "forms": both,
        "about": about,
        "hidden": ", ".join(hidden),
    }
    return _page(request, model_admin, more)


def _like(request: HttpRequest) -> tuple[dict[str, Any] | None, list[str]]:
    """What a job that is to be enqueued again has, as far as it can be shown; and the arguments that cannot."""
    job_id = as_uuid(request.GET.get("like", ""))
    if job_id is None:
        return None, []
    try:
        job = lookup.find_job(job_id)
    except JobsError:
        return None, []
    scopes = scopes_of(request)
    if scopes is not None and not of_scopes(lookup.all_jobs().filter(pk=job.pk), scopes).exists():
        raise Http404
    shown, hidden = shown_arguments(job)
    return {"call": shown, "how": {"priority": job.priority, "group": job.group}}, hidden


def _tasks() -> list[tuple[str, list[tuple[str, str]]]]:
    """By queue, each task with the first line of what it does."""
    found = []
    for queue in queues().values():
        lines = [(name, _first_line(task)) for name, task in queue.tasks.items()]
        found.append((queue.name, sorted(lines)))
    return found


def _first_line(task: Task) -> str:
    return (task.signature.func.__doc__ or "").strip().partition("\n")[0]


def _said(refusal: JobsError, task: Task) -> str:
    return str(refusal).removeprefix(f"{task.name}: ")


def _page(request: HttpRequest, model_admin: ModelAdmin[Job], more: dict[str, Any]) -> TemplateResponse:
    site = model_admin.admin_site
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("Enqueue a job"),
        "subtitle": None,
        "opts": model_admin.opts,
        "back": reverse(f"{site.name}:jobs_job_changelist"),
        "choose": reverse(f"{site.name}:jobs_job_enqueue"),
        **more,
    }
    request.current_app = site.name
    return TemplateResponse(request, "admin/jobs/job/enqueue.html", context)
