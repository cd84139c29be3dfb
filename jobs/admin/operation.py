"""Operations on many jobs in the admin: a line each, a page with how far it is, and the button that stops it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from admin_lists.changelist import KeysetChangeList
from admin_lists.counts import Capped
from admin_lists.moments import ago, exact_time

from .. import clock
from ..history import lookup, verdict
from ..models import STATE_WORDS, Operation
from ..operate.operations import PERMISSIONS, Listed, people_of, stop
from .readonly import ReadOnlyAdmin
from .sight import may, sees_all

#: Seconds until the page of one that runs is read anew, and until one that nobody has taken up waits for a keeper.
AGAIN, UNHEARD = 3, 10.0


class OperationChangeList(KeysetChangeList):
    """A page of operations, with the people who began them read at once."""

    def get_results(self, request: HttpRequest) -> None:
        """As above."""
        super().get_results(request)
        people = people_of(self.result_list)
        for row in self.result_list:
            row.person = people.get(row.by_id)


class OperationAdmin(ReadOnlyAdmin):
    """The newest operations: the own ones, and those of others for who sees everybody's jobs."""

    change_form_template = "admin/jobs/operation/page.html"
    list_display = ("named", "state", "progress", "person", "created")
    empty_text = _("When you choose an action for all jobs of a filter, how far it is stands here.")
    fields = ("state", "progress", "which", "pace_shown", "person", "created_shown", "ended_shown", "first_refusal")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """As above."""
        rows = super().get_queryset(request)
        return rows if sees_all(request) else rows.filter(by_id=str(request.user.pk))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """As above."""
        return OperationChangeList

    def get_urls(self) -> list[URLPattern]:
        """The button's address as well."""
        view = self.admin_site.admin_view(self.stop_view)
        return [path("<uuid:operation_id>/stop/", view, name="jobs_operation_stop"), *super().get_urls()]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may look at jobs."""
        return may(request, "jobs.view_job")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may look at jobs."""
        return may(request, "jobs.view_job")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page, which is read anew as long as it goes on."""
        found = self.get_object(request, object_id)
        more: dict[str, Any] = {}
        if found is not None and found.ended_at is None:
            more = {"again": AGAIN, "stop": self._address("stop", found.pk) if _may_stop(request, found) else ""}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def stop_view(self, request: HttpRequest, operation_id: UUID) -> HttpResponse:
        """Stop one; what is done stays done."""
        return require_POST(lambda request: self._stop(request, operation_id))(request)

    def _stop(self, request: HttpRequest, operation_id: UUID) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self.get_queryset(request).filter(pk=operation_id).first()
        if found is None:
            raise Http404
        if not _may_stop(request, found):
            raise PermissionDenied
        if stop(found):
            self.log_change(request, found, gettext("Stopped."))
            self.message_user(request, gettext("It is stopped; what is done stays done."), messages.SUCCESS)
        else:
            self.message_user(request, gettext("It has ended already."), messages.WARNING)
        return HttpResponseRedirect(self._address("change", operation_id))

    @admin.display(description=_("operation"))
    def named(self, operation: Operation) -> str:
        """What it does."""
        return operation.get_verb_display()

    @admin.display(description=_("state"))
    def state(self, operation: Operation) -> str:
        """In a word."""
        if operation.problem:
            return pgettext("operation", "ended early: %(problem)s") % {"problem": operation.problem}
        if operation.stopped:
            return pgettext("operation", "stopped")
        if operation.ended_at is not None:
            return pgettext("operation", "done")
        late = (clock.now() - operation.next_at).total_seconds()
        return pgettext("operation", "waits for a keeper") if late > UNHEARD else pgettext("operation", "runs")

    @admin.display(description=_("progress"))
    def progress(self, operation: Operation) -> str:
        """How many of how many, with a bar while it can be drawn."""
        turned, total = operation.done + operation.refused, lookup.capped(operation.total)
        text = gettext("%(done)s of %(total)s done, %(refused)s refused") if operation.refused else ""
        text = (text or gettext("%(done)s of %(total)s done")) % {
            "done": Capped(operation.done),
            "total": total,
            "refused": Capped(operation.refused),
        }
        if total.more:
            return text
        return format_html('<progress value="{}" max="{}"></progress> {}', turned, max(total.number, 1), text)

    @admin.display(description=_("which jobs"))
    def which(self, operation: Operation) -> str:
        """The filter in words."""
        chosen = Listed.of_text(operation.chosen)
        named = {
            _("state"): STATE_WORDS.get(chosen.state, chosen.state),
            _("queue"): chosen.queue,
            _("task"): chosen.task,
            _("event"): chosen.event_id,
            _("enqueued by job"): chosen.parent_id,
            _("about"): chosen.about,
            _("cause"): chosen.cause,
            _("query"): chosen.query,
            _("created since"): chosen.since[:16].replace("T", " "),
            _("found by a search"): "" if chosen.ids is None else len(chosen.ids),
        }
        lines = [(capfirst(str(name)), value) for name, value in named.items() if value != ""]
        return format_html_join("", "<div>{}: {}</div>", lines) or gettext("all")

    @admin.display(description=_("pace"))
    def pace_shown(self, operation: Operation) -> str:
        """Jobs a second."""
        if operation.pace is None:
            return gettext("as fast as it goes")
        return gettext("%(pace)s a second") % {"pace": f"{operation.pace:g}"}

    @admin.display(description=_("by"))
    def person(self, operation: Operation) -> str:
        """Who began it."""
        found = operation.person if hasattr(operation, "person") else people_of([operation]).get(operation.by_id)
        return str(found or "–")

    @admin.display(description=_("created"))
    def created(self, operation: Operation) -> str:
        """How long ago, with the moment on hover."""
        return ago(operation.created_at, clock.now())

    @admin.display(description=_("created"))
    def created_shown(self, operation: Operation) -> str:
        """The exact moment."""
        return exact_time(operation.created_at)

    @admin.display(description=_("ended"))
    def ended_shown(self, operation: Operation) -> str:
        """The exact moment, and how long it took."""
        if operation.ended_at is None:
            return "–"
        took = verdict.duration((operation.ended_at - operation.created_at).total_seconds())
        return f"{exact_time(operation.ended_at)} ({took})"

    def _address(self, name: str, id: UUID) -> str:
        return reverse(f"{self.admin_site.name}:jobs_operation_{name}", args=[id])


def _may_stop(request: HttpRequest, operation: Operation) -> bool:
    return may(request, PERMISSIONS[operation.verb])
