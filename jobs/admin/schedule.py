"""Schedules in the admin: those of the code to switch on and off, those of people to make and change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_list_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from admin_lists.keyset_admin import KeysetAdmin
from admin_lists.moments import exact_time

from ..broker import get_broker
from ..conf import jobs_settings
from ..defined import find_task, queues
from ..errors import InvalidArguments, InvalidPolicy, JobsError
from ..history import live
from ..models import Schedule
from ..operate.schedules import (
    all_schedules,
    begin_anew,
    defined_schedules,
    disable,
    enable,
    rule_of,
    run_now,
    ticks_to_come,
)
from ..rules.words import in_words
from . import ticks
from .sight import sees_all

#: How many of the next ticks are shown.
SHOWN = 5
#: What the buttons of a schedule's page do.
ACTS: dict[str, Callable[[str], object]] = {"run": run_now, "enable": enable, "disable": disable}
#: What the rule and the call are made of: a change of these begins the ticks anew.
_OF_RULE = ("expression", "seconds", "timezone", "start", "end", "count", "enabled")


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    """Checks the rule as `Cron` and `Every` do, and the arguments against the task's signature."""

    class Meta:
        model = Schedule
        fields = (
            *("name", "task", "args", "kwargs", "expression", "seconds", "timezone"),
            *("missed", "overlap", "jitter", "start", "end", "count", "enabled"),
        )
        help_texts = {
            "expression": _("Five fields: minute, hour, day, month, day of the week; or six with seconds before them."),
            "seconds": _("In place of a cron expression: a tick every so many seconds."),
            "timezone": _("Like America/Sao_Paulo; empty: the site's."),
            "args": _("A JSON list."),
            "kwargs": _("A JSON object."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:
            known = sorted(name for queue in queues().values() for name in queue.tasks)
            choices = [(name, name) for name in known]
            if self.instance.task and self.instance.task not in known:
                choices.insert(0, (self.instance.task, self.instance.task))
            self.fields["task"] = forms.ChoiceField(choices=choices, label=capfirst(gettext("task")))
        for name in {"start", "end"} & self.fields.keys():
            # Django's two inputs have one label between them
            label = capfirst(str(self.fields[name].label))
            for widget, part in zip(self.fields[name].widget.widgets, (gettext("date"), gettext("time")), strict=True):
                widget.attrs["aria-label"] = f"{label}: {part}"

    def clean(self) -> dict[str, Any]:
        """Raise what the engine would refuse, at the field that it is about."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if "task" not in self.fields or self.errors:
            return given
        if bool(given["expression"]) == (given["seconds"] is not None):
            raise ValidationError(gettext("Give either a cron expression or seconds."))
        self._check_rule(given)
        self._check_call(given)
        return given

    def _check_rule(self, given: dict[str, Any]) -> None:
        told = {name: given[name] for name in given if name not in ("name", "task", "args", "kwargs")}
        try:
            rule_of(Schedule(**told), {})
        except InvalidPolicy as error:
            self.add_error("expression" if given["expression"] else "seconds", str(error))

    def _check_call(self, given: dict[str, Any]) -> None:
        args, kwargs = given["args"], given["kwargs"]
        if not isinstance(args, list):
            self.add_error("args", gettext("This is no JSON list."))
        elif not isinstance(kwargs, dict):
            self.add_error("kwargs", gettext("This is no JSON object."))
        else:
            try:
                task = find_task(given["task"])
                task.signature.encode(args, kwargs)
                named = task.signature.signature.bind(*args, **kwargs).arguments
            except (JobsError, TypeError) as error:
                self.add_error("args" if isinstance(error, InvalidArguments) else "task", str(error))
                return
            if hidden := sorted(task.personal.intersection(named)):
                text = gettext("%(names)s is personal and cannot be kept in a schedule: pass the id of a row.")
                self.add_error("args", text % {"names": ", ".join(hidden)})


class ScheduleAdmin(KeysetAdmin):
    """What ticks when, with its next runs; a person's schedules are checked as those of the code are."""

    form = ScheduleForm
    list_display = ("name", "task", "words", "next_tick", "last_tick_shown", "enabled", "state")
    empty_text = _(
        "A schedule starts a task by the clock. Those that code defines appear once `run_huey` has started; "
        "add your own here."
    )
    list_filter = ("enabled", "from_code")
    search_fields = ("name", "task")
    page_key = ("name", "pk")
    newest_first = False
    actions = ("enable_schedules", "disable_schedules", "run_schedules")
    told = ("words", "next_ticks", "state", "last_tick_shown", "fired", "skipped_at", "last_job_link", "past")
    change_form_template = "admin/jobs/schedule/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """The rows on the database that holds the jobs."""
        return super().get_queryset(request).using(jobs_settings().database)

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> tuple[str, ...]:
        """Of a schedule of the code everything but whether it ticks."""
        if obj is None:
            return ()
        of_code = tuple(name for name in ScheduleForm.Meta.fields if name != "enabled") if obj.from_code else ()
        return (*of_code, *self.told)

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """First what there is to know, then the rule and the call."""
        own = ScheduleForm.Meta.fields
        if obj is None:
            return [(None, {"fields": own})]
        return [(None, {"fields": self.told}), (gettext("Rule and call"), {"fields": own})]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Schedules are nobody's own: they are for those who see everybody's jobs."""
        return super().has_module_permission(request) and sees_all(request, "jobs.view_schedule")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """As above."""
        return super().has_view_permission(request, obj) and sees_all(request, "jobs.view_schedule")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As above: whoever may add one may enqueue any task."""
        return super().has_add_permission(request) and sees_all(request, "jobs.add_schedule")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """As above."""
        return super().has_change_permission(request, obj) and sees_all(request, "jobs.change_schedule")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """As above; one that the code defines would only come back."""
        if isinstance(obj, Schedule) and obj.from_code and obj.name in defined_schedules():
            return False
        return super().has_delete_permission(request, obj) and sees_all(request, "jobs.delete_schedule")

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Who may run one now."""
        return request.user.has_perm("jobs.run_schedule") and sees_all(request, "jobs.run_schedule")

    def get_urls(self) -> list[URLPattern]:
        """The pages, and what their buttons send."""
        view = self.admin_site.admin_view(self.act_view)
        acts = [path(f"<int:pk>/{name}/", view, {"name": name}, f"jobs_schedule_{name}") for name in ACTS]
        return [*acts, *super().get_urls()]

    def act_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Run one now, enable or disable it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        may = self.has_run_permission(request) if name == "run" else self.has_change_permission(request)
        if not may:
            raise PermissionDenied
        self._each(request, get_list_or_404(self.get_queryset(request), pk=pk), ACTS[name])
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:jobs_schedule_change", args=[pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page with its buttons."""
        row, acts = context.get("original"), []
        if isinstance(row, Schedule):
            live.hear()
            if self.has_run_permission(request) and row.gone_at is None:
                acts.append((pgettext("schedule", "Run now"), "run"))
            if self.has_change_permission(request, row):
                acts.append((gettext("Disable"), "disable") if row.enabled else (gettext("Enable"), "enable"))
            site = self.admin_site.name
            context["acts"] = [(text, reverse(f"{site}:jobs_schedule_{name}", args=[row.pk])) for text, name in acts]
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Write what was changed and nothing of what keepers write meanwhile."""
        alias = jobs_settings().database
        if not change:
            obj.last_tick = get_broker().now()
            obj.save(using=alias)
            return
        with transaction.atomic(using=alias):
            row = all_schedules().select_for_update().get(pk=obj.pk)
            for name in form.changed_data:
                setattr(row, name, form.cleaned_data[name])
            if set(form.changed_data).intersection(_OF_RULE):
                begin_anew(row)
            row.save()

    @admin.display(description=_("when"))
    def words(self, row: Schedule) -> str:
        """The rule in words."""
        try:
            rule = rule_of(row, defined_schedules())
        except InvalidPolicy as error:
            return str(error)
        return "–" if rule is None else capfirst(in_words(rule))

    @admin.display(description=_("next"))
    def next_tick(self, row: Schedule) -> str:
        """The next tick."""
        [*ticks] = _ticks(row, 1)
        return exact_time(ticks[0] if ticks else None)

    @admin.display(description=_("next runs"))
    def next_ticks(self, row: Schedule) -> str:
        """The next ones, in the schedule's time zone and the reader's."""
        return ticks.shown_next(row, _ticks(row, SHOWN))

    @admin.display(description=_("past runs"))
    def past(self, row: Schedule) -> str:
        """The last ones: how each ended, how late it started, how long it ran."""
        return ticks.shown_past(row, self.admin_site)

    @admin.display(description=_("last tick that made a job"), ordering="fired_at")
    def last_tick_shown(self, row: Schedule) -> str:
        """The last tick that made a job."""
        return exact_time(row.fired_at)

    @admin.display(description=_("last job"))
    def last_job_link(self, row: Schedule) -> str:
        """The last job's page."""
        if row.last_job is None:
            return "–"
        address = reverse(f"{self.admin_site.name}:jobs_job_change", args=[row.last_job])
        return format_html('<a href="{}"><code>{}</code></a>', address, row.last_job)

    @admin.display(description=_("state"))
    def state(self, row: Schedule) -> str:
        """What keeps it from ticking, if anything does."""
        if row.gone_at is not None:
            return gettext("taken out of the code on %(time)s") % {"time": exact_time(row.gone_at)}
        if not row.enabled:
            return gettext("disabled")
        if row.trouble:
            return gettext("in trouble since %(time)s: %(text)s") % {
                "time": exact_time(row.trouble_at),
                "text": row.trouble,
            }
        return gettext("ticks")

    @admin.action(description=_("Enable the selected schedules"), permissions=["change"])
    def enable_schedules(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        """From now on."""
        self._each(request, rows, enable)

    @admin.action(description=_("Disable the selected schedules"), permissions=["change"])
    def disable_schedules(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        """At once."""
        self._each(request, rows, disable)

    @admin.action(description=_("Run the selected schedules now"), permissions=["run"])
    def run_schedules(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        """Once, whatever their rules say."""
        self._each(request, rows, run_now)

    def _each(self, request: HttpRequest, rows: Iterable[Schedule], act: Callable[[str], object]) -> None:
        done = 0
        for row in rows:
            try:
                act(row.name)
            except JobsError as error:
                self.message_user(request, f"{row.name}: {error}", messages.ERROR)
            else:
                done += 1
                self.log_change(request, row, act.__name__)
        if done:
            self.message_user(request, gettext("Done: %(count)d.") % {"count": done}, messages.SUCCESS)


def _ticks(row: Schedule, number: int) -> list[datetime]:
    try:
        return ticks_to_come(row, number)
    except InvalidPolicy:
        return []
