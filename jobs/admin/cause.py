"""Dead letters by cause in the admin: a line a cause, and what is done with one after a question."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext, pgettext

from admin_lists.search import as_uuid

from .. import clock
from ..conf import jobs_settings
from ..errors import BrokerAway, JobsError
from ..fingerprint import CAUSE
from ..history import cause_story, causes, live, lookup
from ..history.deploys import deploys_since
from ..history.lookup import Capped
from ..history.mended import since_last
from ..history.plans import by_index
from ..models import Cause, Job
from ..operate.dead_letters import discard_dead_letters
from ..operate.retry_cause import retry_cause
from ..policy import RateLimit
from ..reasons import translated
from ..visible import visible
from . import compare
from .change import changeable
from .days import drawn_days
from .sight import may, scopes_of, scopes_with

#: Causes on the page, and completed jobs that are looked at for each.
SHOWN, LOOKED_AT = 25, 200
#: Dead letters on the page of a cause, and lines of what people did about it.
EXAMPLES, ACTS = 20, 20
#: Characters of an error on the page of its cause.
LONGEST_ERROR = 4_000
#: Dead letters and seconds of one request: for more it is sent again.
AT_ONCE, LONGEST = 5_000, 5.0
#: Retries a second that can be chosen; 0: all at once.
PACES = (0, 1, 10, 100)
PERMISSIONS = {"retry": "jobs.retry_job", "discard": "jobs.discard_job"}


class CauseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The causes whose last dead letter is the latest; nothing is edited."""

    def get_urls(self) -> list[URLPattern]:
        """The list, a page for each cause, its acts, and two dead letters compared."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.list_view), name="jobs_cause_changelist"),
            path("compare/", view(self.compare_view), name="jobs_cause_compare"),
            path("<str:cause>/change/", view(self.cause_view), name="jobs_cause_change"),
            *(
                path(f"<str:cause>/{name}/", view(self.act_view), {"name": name}, f"jobs_cause_{name}")
                for name in PERMISSIONS
            ),
        ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may look at jobs."""
        return may(request, "jobs.view_job")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may look at jobs."""
        return may(request, "jobs.view_job")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: jobs fail by themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: a cause goes with its dead letters."""
        return False

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """A line a cause."""
        self._check(request)
        live.hear()
        now, lines = clock.now(), self._lines(request)
        context = {
            "title": gettext("Dead letters by cause"),
            "lines": lines,
            "now": now,
            "shown": SHOWN,
            "compare": self._address("compare"),
        }
        return self._page(request, "list", context)

    def cause_view(self, request: HttpRequest, cause: str) -> HttpResponse:
        """What is known of one cause: its trend, its last dead letters, what was tried."""
        self._check(request)
        live.hear()
        one = self._one(request, cause, scopes_of(request))
        if one is None:
            return HttpResponseRedirect(self._list())
        return self._page(request, "page", {"title": one.task, "back": self._list(), **self._story(request, one)})

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        """Two dead letters beside each other, named by `job=` twice, or the last ones of two causes, by `cause=`."""
        self._check(request)
        live.hear()
        scopes = scopes_of(request)
        given = [id for text in request.GET.getlist("job") if (id := as_uuid(text)) is not None]
        given += [
            one.newest
            for text in request.GET.getlist("cause")[:2]
            if CAUSE.match(text) and (one := causes.look(text, scopes)) is not None
        ]
        jobs = causes.dead_letters(scopes).defer("result").in_bulk(given[:2])
        pair = [jobs[id] for id in given[:2] if id in jobs]
        if len(given) != 2 or len(pair) != 2 or pair[0].pk == pair[1].pk:
            self.message_user(request, gettext("Choose two dead letters that are still there."), messages.WARNING)
            return HttpResponseRedirect(self._list())
        context = {
            "title": gettext("Two dead letters compared"),
            "back": self._list(),
            "sides": [self._side(request, job, scopes) for job in pair],
            "parts": [
                (gettext("Facts"), compare.facts_of(*pair)),
                (gettext("Arguments"), compare.arguments_of(*pair)),
            ],
            "texts": [
                (gettext("Error"), compare.errors_of(*pair)),
                (gettext("Traceback"), compare.tracebacks_of(*pair)),
            ],
            "now": clock.now(),
        }
        return self._page(request, "compare", context)

    def act_view(self, request: HttpRequest, cause: str, name: str) -> HttpResponse:
        """The question, and on POST what is asked."""
        self._check(request)
        if not may(request, PERMISSIONS[name]):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        scopes = scopes_with(request, PERMISSIONS[name])
        one = self._one(request, cause, scopes)
        if one is None:
            return HttpResponseRedirect(self._list())
        if request.method == "POST":
            self._act(request, cause, name, scopes)
            return HttpResponseRedirect(self._list())
        question = gettext("Retry these dead letters?") if name == "retry" else gettext("Discard these dead letters?")
        context = {
            "title": question,
            "cause": one,
            "count": Capped(one.count, one.more),
            "error": translated(one.error),
            "name": name,
            "paces": PACES,
            "at_once": AT_ONCE,
            "back": self._list(),
        }
        return self._page(request, "confirm", context)

    def _one(self, request: HttpRequest, cause: str, scopes: Sequence[str] | None) -> causes.DeadCause | None:
        """The cause as these scopes know it; None, and the person is told, where it has no dead letter any more."""
        one = causes.look(cause, scopes) if CAUSE.match(cause) else None
        if one is None:
            if scopes is not None or not CAUSE.match(cause):
                raise Http404
            self.message_user(request, gettext("No dead letter has this cause any more."), messages.WARNING)
        return one

    def _act(self, request: HttpRequest, cause: str, name: str, scopes: Sequence[str] | None) -> None:
        by: Any = request.user
        try:
            if name == "retry":
                given = request.POST.get("pace", "0")
                pace = int(given) if given.isascii() and given.isdigit() and int(given) in PACES else 0
                limit = RateLimit(pace, per=1) if pace else None
                done = retry_cause(cause, pace=limit, limit=AT_ONCE, by=by, scopes=scopes, longest=LONGEST)
                count, text = (
                    done.retried,
                    ngettext("Retried: %(count)d job.", "Retried: %(count)d jobs.", done.retried),
                )
            else:
                count = discard_dead_letters(cause=cause, limit=AT_ONCE, by=by, scopes=scopes)
                text = ngettext("Discarded: %(count)d job.", "Discarded: %(count)d jobs.", count)
        except (BrokerAway, JobsError) as refusal:
            self.message_user(request, capfirst(str(refusal)), messages.ERROR)
            return
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
        if causes.of_cause(cause, scopes).exists():
            self.message_user(request, gettext("Some are left: do it again for these."), messages.WARNING)

    def _lines(self, request: HttpRequest) -> list[dict[str, Any]]:
        scopes, lines = scopes_of(request), []
        acts = [name for name, permission in PERMISSIONS.items() if may(request, permission)]
        labels = {"retry": pgettext("button", "Retry"), "discard": pgettext("button", "Discard")}
        for cause, _last in causes.by_last():
            if (one := causes.look(cause, scopes)) is None:
                continue
            lines.append(
                {
                    "cause": one,
                    "count": Capped(one.count, one.more),
                    "error": translated(one.error),
                    "day": sum(one.hours),
                    # of everybody's jobs: not for those who see some
                    "since": since_last(one, LOOKED_AT).text if scopes is None else "",
                    "jobs": self._jobs(cause),
                    "address": self._address("change", cause),
                    "acts": [(labels[name], self._address(name, cause)) for name in acts],
                }
            )
            if len(lines) == SHOWN:
                break
        return lines

    def _story(self, request: HttpRequest, one: causes.DeadCause) -> dict[str, Any]:
        """What the page of a cause shows."""
        scopes, now = scopes_of(request), clock.now()
        days = cause_story.days_of(one.id, scopes)
        first = now - timedelta(days=cause_story.DAYS)
        deploys = deploys_since(first)
        marks = [((deploy.at - first) / (now - first), visible(deploy.label)) for deploy in deploys]
        tried = cause_story.tried(one.id, one.task, scopes)
        labels = {"retry": pgettext("button", "Retry"), "discard": pgettext("button", "Discard")}
        return {
            "cause": one,
            "now": now,
            "count": Capped(one.count, one.more),
            "error": visible(translated(one.error), keep="\n\t")[:LONGEST_ERROR],
            "since": since_last(one, LOOKED_AT).text if scopes is None else "",
            "days": days,
            "trend": drawn_days(days, marks),
            "dates": [(first + timedelta(days=day + 1), number) for day, number in enumerate(days) if number],
            "between": [deploy for deploy in deploys if one.first_at <= deploy.at <= one.last_at],
            "tried": tried,
            "acts": _acts_of(one.id) if scopes is None else [],
            "examples": [self._example(request, job) for job in self._last(one.id, scopes)],
            "jobs": self._jobs(one.id),
            "compare": self._address("compare"),
            "buttons": [
                (labels[name], self._address(name, one.id))
                for name, permission in PERMISSIONS.items()
                if may(request, permission)
            ],
        }

    def _last(self, cause: str, scopes: Sequence[str] | None) -> list[Job]:
        with by_index(jobs_settings().database):
            rows = causes.of_cause(cause, scopes).defer("result").order_by("-ended_at", "-id")
            return list(rows[:EXAMPLES])

    def _example(self, request: HttpRequest, job: Job) -> dict[str, Any]:
        site = self.admin_site.name
        return {
            "job": job,
            "error": visible(lookup.mask_of(job)(translated(job.error))),
            "address": reverse(f"{site}:jobs_job_change", args=[job.pk]),
            "edit": reverse(f"{site}:jobs_job_edit", args=[job.pk]) if changeable(request, job) else "",
        }

    def _side(self, request: HttpRequest, job: Job, scopes: Sequence[str] | None) -> dict[str, Any]:
        one = causes.look(job.cause, scopes) if job.cause else None
        count = None if one is None else Capped(one.count, one.more)
        address = self._address("change", job.cause) if one is not None else ""
        return {**self._example(request, job), "cause": one, "count": count, "of_cause": address}

    def _check(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        every = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, f"admin/jobs/cause/{name}.html", every)

    def _address(self, name: str, *args: object) -> str:
        return reverse(f"{self.admin_site.name}:jobs_cause_{name}", args=args)

    def _list(self) -> str:
        return self._address("changelist")

    def _jobs(self, cause: str) -> str:
        return f"{reverse(f'{self.admin_site.name}:jobs_job_changelist')}?state=failed&cause={cause}"


def _acts_of(cause: str) -> list[LogEntry]:
    """What people did about the whole cause, the latest first."""
    kind = ContentType.objects.get_for_model(Cause)
    lines = LogEntry.objects.filter(content_type=kind, object_id=cause)
    return list(lines.select_related("user").order_by("-action_time")[:ACTS])
