"""Jobs in the admin: the list, a job's page, and the buttons and actions that go through `jobs.operate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import patch_cache_control
from django.utils.html import format_html
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from admin_lists.moments import ago
from admin_lists.owners import streams_of
from admin_lists.search import as_uuid

from .. import clock
from ..errors import BrokerAway, InvalidOption, Refused, UnknownJob, UnknownProcess, UnknownQueue
from ..history import live, lookup, verdict
from ..models import Job
from ..operate.by_hand import ENQUEUE
from ..operate.pause import pause, resume
from ..operate.reveal import VIEW_PERSONAL, reveal
from ..operate.stack import VIEW_STACK
from ..operate.workers import pause_worker, resume_worker
from ..states import State
from . import following, overview, page
from .buttons import BUTTONS, Button
from .change import EDITED, change_page, changeable
from .enqueue import enqueue_page
from .events import event_urls
from .export import PERMISSION as EXPORT
from .export import export_page
from .filters import OF_JOBS
from .group import groups_page
from .keyset import JobChangeList
from .limits import limits_page
from .list_actions import JobActions
from .marks import state_mark
from .providers import providers_page
from .query_box import search
from .saved import first_list, saved_context, saved_urls
from .sight import check_reach, may, of_scopes, scopes_of, sees_all
from .stack import stack_page
from .workers import workers_page


class JobAdmin(JobActions):
    """The history and the live jobs."""

    list_display = (
        "short_id",
        "state_shown",
        "task",
        "queue",
        "about",
        "created",
        "waited",
        "ran",
        "attempts",
        "problem",
    )
    list_display_links = ("short_id", "task")
    list_filter = OF_JOBS
    acts_on_all = True
    numbers = ("waited", "ran")
    empty_text = _("A job appears here when code enqueues a task, or when a schedule fires.")
    search_fields = ("id",)
    change_list_template = "admin/jobs/job/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """The jobs that the person may see, without their long texts; a job's page reads them when it shows them."""
        return of_scopes(super().get_queryset(request).defer("message", "result"), scopes_of(request))

    def streams(self, request: HttpRequest, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Of a person who sees several scopes, each one's."""
        return streams_of(rows, "scope", scopes_of(request) or ())

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Pages of a whole queue are put together from its states."""
        return JobChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What the query box asks for: see `jobs.history.query`."""
        return search(request, queryset), False

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses, all for POST."""
        own = [
            path(f"<uuid:job_id>/{name}/", self.admin_site.admin_view(self.operate), {"name": name}, f"jobs_job_{name}")
            for name in BUTTONS
        ]
        edit = self.admin_site.admin_view(change_page)
        own.append(path("<uuid:job_id>/edit/", edit, {"model_admin": self}, "jobs_job_edit"))
        own.append(
            path("<uuid:job_id>/personal/", self.admin_site.admin_view(self.personal_view), name="jobs_job_personal")
        )
        live_view = self.admin_site.admin_view(self.live_view, cacheable=True)
        own.append(path("<uuid:job_id>/live/", live_view, name="jobs_job_live"))
        stack = self.admin_site.admin_view(stack_page)
        own.append(path("<uuid:job_id>/stack/", stack, {"model_admin": self}, "jobs_job_stack"))
        for name in ("pause", "resume"):
            view = self.admin_site.admin_view(self.operate_queue)
            own.append(path(f"queues/<str:queue>/{name}/", view, {"name": name}, f"jobs_queue_{name}"))
            of_worker = self.admin_site.admin_view(self.operate_worker)
            own.append(path(f"workers/<uuid:worker>/{name}/", of_worker, {"name": name}, f"jobs_worker_{name}"))
        groups = self.admin_site.admin_view(groups_page)
        own.append(path("groups/<str:queue>/", groups, {"model_admin": self}, "jobs_queue_groups"))
        limits = self.admin_site.admin_view(limits_page)
        own.append(path("queues/<str:queue>/limits/", limits, {"model_admin": self}, "jobs_queue_limits"))
        enqueue = self.admin_site.admin_view(enqueue_page)
        own.append(path("enqueue/", enqueue, {"model_admin": self}, "jobs_job_enqueue"))
        export = self.admin_site.admin_view(export_page)
        own.append(path("export/", export, {"model_admin": self}, "jobs_job_export"))
        shared = self.admin_site.admin_view(providers_page)
        own.append(path("limits/", shared, {"model_admin": self}, "jobs_shared_limits"))
        workers = self.admin_site.admin_view(workers_page)
        own.append(path("workers/", workers, {"model_admin": self}, "jobs_workers"))
        return own + saved_urls(self) + event_urls(self) + overview.urls(self) + super().get_urls()

    # the list's columns

    @admin.display(description=_("id"))
    def short_id(self, job: Job) -> str:
        """The tail: jobs made together share the head of their ids."""
        return format_html('<code title="{}">…{}</code>', job.pk, str(job.pk)[-8:])

    @admin.display(description=_("state"))
    def state_shown(self, job: Job) -> str:
        """The state as people read it."""
        return state_mark(job.shown_state())

    @admin.display(description=_("about"), empty_value="–")
    def about(self, job: Job) -> str | None:
        """The kind of the object; the job's page links to it."""
        if not job.about_type:
            return None
        query = f"{job.about_type}:{job.about_id}"
        link = f"{reverse(f'{self.admin_site.name}:jobs_job_changelist')}?about={query}"
        return format_html('<a href="{}" title="{}">{}</a>', link, query, job.about_type.partition(".")[2])

    @admin.display(description=_("created"))
    def created(self, job: Job) -> str:
        """How long ago, with the moment on hover."""
        return ago(job.created_at, clock.now())

    @admin.display(description=_("waited"))
    def waited(self, job: Job) -> str:
        """From due to started."""
        return verdict.duration(verdict.seconds_between(job.ready_at, job.started_at or job.claimed_at))

    @admin.display(description=_("ran"))
    def ran(self, job: Job) -> str:
        """From started to ended."""
        return verdict.duration(verdict.seconds_between(job.started_at, job.ended_at))

    @admin.display(description=_("problem"))
    def problem(self, job: Job) -> str:
        """The error of a job that failed, or why it ended otherwise; the first words."""
        text = job.shown_error() if job.state in (State.FAILED, State.QUEUED) else ""
        return Truncator(text or job.shown_reason()).chars(80)

    # views

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the jobs that had no row so far."""
        more: dict[str, Any] = {}
        if self.has_view_permission(request):
            if first := first_list(request):
                return HttpResponseRedirect(first)
            live.hear()
            more["saved"] = saved_context(request, self.admin_site.name)
        more |= {
            "enqueue": self._address("job_enqueue") if may(request, ENQUEUE) else "",
            "may_export": may(request, EXPORT),
            "export": f"{self._address('job_export')}?{request.GET.urlencode()}",
        }
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The job's page: it shows; the buttons on it have addresses of their own."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return self._shown(request, object_id, extra_context)

    def _shown(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The same, once it is decided that it may be shown."""
        job = self._seen(request, object_id)
        if job is None:
            self.message_user(
                request,
                gettext("There is no job %(id)s: retention may have removed it.") % {"id": object_id},
                messages.WARNING,
            )
            return HttpResponseRedirect(self._list_address())
        context = {
            **self.admin_site.each_context(request),
            "title": job.task,
            "subtitle": None,
            "opts": self.opts,
            "original": job,
            "has_view_permission": True,
            "media": self.media,
            "preserved_filters": self.get_preserved_filters(request),
            **self._body(request, job),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/job/page.html", context)

    def live_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """The page's inside by itself, for the page to follow it; or 304 where that shows it already."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        job = self._seen(request, str(job_id))
        if job is None:
            raise Http404
        request.current_app = self.admin_site.name
        return following.answer(job, request, lambda: self._body(request, job))

    def personal_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """The page with the personal arguments in it, on POST; that they were looked at is noted."""
        return _posted(request, lambda: self._personal(request, job_id))

    def _personal(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        check_reach(request, job_id, VIEW_PERSONAL)
        try:
            shown = reveal(job_id, _user(request))
        except (UnknownJob, BrokerAway) as refusal:
            self.message_user(request, capfirst(str(refusal)), messages.ERROR)
            return HttpResponseRedirect(self._address("job_change", job_id))
        request.__dict__["revealed_arguments"] = shown
        response = self._shown(request, str(job_id))
        patch_cache_control(response, private=True, no_store=True)
        return response

    def _seen(self, request: HttpRequest, object_id: str) -> Job | None:
        """The job as it lives, if the person may see it."""
        live.hear()
        job = self.get_object(request, unquote(object_id)) or self._without_row(request, as_uuid(unquote(object_id)))
        return job if job is None else live.as_it_lives(job, job.pk) or job

    def _body(self, request: HttpRequest, job: Job) -> dict[str, Any]:
        return {
            # before what it stands for: what changes in between is shown at the next look
            "live": following.followed(job, request, self._address("job_live", job.pk)),
            "page": page.job_page(
                job, self.admin_site, request, scopes_of(request), revealed=request.__dict__.get("revealed_arguments")
            ),
            "buttons": [
                {"name": one.name, "label": one.label, "address": self._address(f"job_{one.name}", job.pk)}
                for one in BUTTONS.values()
                if job.state in one.states and may(request, one.permission, job)
            ],
            "edit": self._edit_link(request, job),
            "show_personal": self._address("job_personal", job.pk) if may(request, VIEW_PERSONAL, job) else "",
            "may_see_stack": may(request, VIEW_STACK, job),
            "ask_stack": self._address("job_stack", job.pk) if job.state == State.ACTIVE else "",
            "again": self._again_link(request, job),
        }

    def _edit_link(self, request: HttpRequest, job: Job) -> dict[str, str] | None:
        if job.state not in EDITED or not changeable(request, job):
            return None
        label = gettext("Edit and retry") if job.state == State.FAILED else gettext("Edit")
        return {"address": self._address("job_edit", job.pk), "label": label}

    def _again_link(self, request: HttpRequest, job: Job) -> str:
        """The form of a call like this job's."""
        if not may(request, ENQUEUE) or lookup.task_of(job) is None:
            return ""
        return f"{self._address('job_enqueue')}?{urlencode({'task': job.task, 'like': job.pk})}"

    def _without_row(self, request: HttpRequest, job_id: UUID | None) -> Job | None:
        """A live job that has no row yet, if the person may see it."""
        try:
            job = live.as_it_lives(None, job_id) if job_id is not None else None
        except BrokerAway as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        scopes = scopes_of(request)
        return job if job is not None and (scopes is None or job.scope in scopes) else None

    def operate(self, request: HttpRequest, job_id: UUID, name: str) -> HttpResponse:
        """One button on one job's page."""
        return _posted(request, lambda: self._operate(request, job_id, BUTTONS[name]))

    def operate_queue(self, request: HttpRequest, queue: str, name: str) -> HttpResponse:
        """Pause or resume a queue."""
        return _posted(request, lambda: self._operate_queue(request, queue, name))

    def operate_worker(self, request: HttpRequest, worker: UUID, name: str) -> HttpResponse:
        """Pause or resume a worker process."""
        return _posted(request, lambda: self._operate_worker(request, worker, name))

    def _operate(self, request: HttpRequest, job_id: UUID, button: Button) -> HttpResponse:
        check_reach(request, job_id, button.permission)
        try:
            button.act(job_id, by=_user(request))
        except (InvalidOption, Refused, UnknownJob, BrokerAway) as refusal:
            self.message_user(request, capfirst(str(refusal)), messages.ERROR)
        else:
            self.message_user(request, gettext("Done: %(what)s.") % {"what": button.label}, messages.SUCCESS)
        return HttpResponseRedirect(self._address("job_change", job_id))

    def _operate_queue(self, request: HttpRequest, queue: str, name: str) -> HttpResponse:
        if not (request.user.has_perm("jobs.pause_queue") and sees_all(request, "jobs.pause_queue")):
            raise PermissionDenied
        try:
            (pause if name == "pause" else resume)(queue, by=_user(request))
        except (UnknownQueue, BrokerAway) as refusal:
            self.message_user(request, capfirst(str(refusal)), messages.ERROR)
        else:
            text = gettext("%(queue)s is paused.") if name == "pause" else gettext("%(queue)s goes on.")
            self.message_user(request, text % {"queue": queue}, messages.SUCCESS)
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:app_list", args=["jobs"]))

    def _operate_worker(self, request: HttpRequest, worker: UUID, name: str) -> HttpResponse:
        if not (request.user.has_perm("jobs.pause_queue") and sees_all(request, "jobs.pause_queue")):
            raise PermissionDenied
        try:
            (pause_worker if name == "pause" else resume_worker)(worker, by=_user(request))
        except (UnknownProcess, BrokerAway) as refusal:
            self.message_user(request, capfirst(str(refusal)), messages.ERROR)
        else:
            text = gettext("The worker takes no more jobs.") if name == "pause" else gettext("The worker goes on.")
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:app_list", args=["jobs"]))

    def _address(self, name: str, *args: object) -> str:
        return reverse(f"{self.admin_site.name}:jobs_{name}", args=args)

    def _list_address(self) -> str:
        return self._address("job_changelist")


def _user(request: HttpRequest) -> AbstractBaseUser:
    """Who asks; `admin_view` has let nobody in who is not signed in."""
    return cast(AbstractBaseUser, request.user)


def _posted(request: HttpRequest, act: Callable[[], HttpResponse]) -> HttpResponse:
    return require_POST(lambda _request: act())(request)
