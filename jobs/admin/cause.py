"""Dead letters by cause in the admin: a line a cause, and what is done with one after a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext, pgettext

from .. import clock
from ..errors import BrokerAway, JobsError
from ..fingerprint import CAUSE
from ..history import causes, live
from ..history.lookup import Capped
from ..history.mended import since_last
from ..operate.dead_letters import discard_dead_letters
from ..operate.retry_cause import retry_cause
from ..policy import RateLimit
from ..reasons import translated
from .sight import may, scopes_of, scopes_with

#: Causes on the page, and completed jobs that are looked at for each.
SHOWN, LOOKED_AT = 25, 200
#: Dead letters and seconds of one request: for more it is sent again.
AT_ONCE, LONGEST = 5_000, 5.0
#: Retries a second that can be chosen; 0: all at once.
PACES = (0, 1, 10, 100)
PERMISSIONS = {"retry": "jobs.retry_job", "discard": "jobs.discard_job"}


class CauseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The causes whose last dead letter is the latest; nothing is edited."""

    def get_urls(self) -> list[URLPattern]:
        """The list, and for each cause its acts; a cause's own address leads to its dead letters."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.list_view), name="jobs_cause_changelist"),
            path("<str:cause>/change/", view(self.jobs_view), name="jobs_cause_change"),
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
        context = {"title": gettext("Dead letters by cause"), "lines": lines, "now": now, "shown": SHOWN}
        return self._page(request, "list", context)

    def jobs_view(self, request: HttpRequest, cause: str) -> HttpResponse:
        """The dead letters of one cause, in the list of jobs."""
        self._check(request)
        return HttpResponseRedirect(self._jobs(cause))

    def act_view(self, request: HttpRequest, cause: str, name: str) -> HttpResponse:
        """The question, and on POST what is asked."""
        self._check(request)
        if not may(request, PERMISSIONS[name]):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        scopes = scopes_with(request, PERMISSIONS[name])
        one = causes.look(cause, scopes) if CAUSE.match(cause) else None
        if one is None:
            if scopes is not None or not CAUSE.match(cause):
                raise Http404
            self.message_user(request, gettext("No dead letter has this cause any more."), messages.WARNING)
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
                    "acts": [(labels[name], self._address(name, cause)) for name in acts],
                }
            )
            if len(lines) == SHOWN:
                break
        return lines

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
