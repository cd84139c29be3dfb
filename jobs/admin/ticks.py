"""The past and the next runs of a schedule on its page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.admin import AdminSite
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from admin_lists.moments import exact_time

from ..broker import get_broker
from ..history.verdict import duration
from ..models import Schedule
from ..operate.past_runs import NO_JOB, PastRun, past_runs
from .marks import MARKS

#: Of one run in the strip with its gap, of its bar, and the height of the strip.
STEP, WIDTH, HEIGHT = 12, 9, 48


def shown_past(row: Schedule, site: AdminSite) -> SafeString:
    """The past runs as a strip, the latest last, and as a table, the latest first."""
    runs, now = past_runs(row), get_broker().now()
    lines = [
        {
            "run": run,
            "missed": run.state == NO_JOB,
            "delay": duration(run.delay),
            "ran": duration(run.ran),
            "address": reverse(f"{site.name}:jobs_job_change", args=[run.job.pk]) if run.job else "",
        }
        for run in runs
    ]
    context = {"lines": lines, "bars": _bars(runs[::-1]), "width": STEP * len(runs), "height": HEIGHT, "now": now}
    return SafeString(render_to_string("admin/jobs/schedule/past.html", context))


def shown_next(row: Schedule, ticks: Sequence[datetime]) -> SafeString:
    """The next runs, in the schedule's time zone and the reader's."""
    zone = _zone_of(row)
    is_other = zone is not None and str(zone) != timezone.get_current_timezone_name()
    lines = [
        (exact_time(tick), date_format(tick.astimezone(zone), "DATETIME_FORMAT") if is_other else "", tick)
        for tick in ticks
    ]
    own = gettext("your time zone (%(name)s)") % {"name": timezone.get_current_timezone_name()}
    context = {"lines": lines, "zone": str(zone) if is_other else "", "own": own, "now": get_broker().now()}
    return SafeString(render_to_string("admin/jobs/schedule/next.html", context))


def _zone_of(row: Schedule) -> ZoneInfo | None:
    try:
        return ZoneInfo(row.timezone) if row.timezone else None
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a row that somebody wrote past the form
        return None


def _bars(runs: Sequence[PastRun]) -> list[dict[str, Any]]:
    """Each run with its wait above its run, to one scale."""
    longest = max(((run.delay or 0.0) + (run.ran or 0.0) for run in runs), default=0.0) or 1.0
    found = []
    for place, run in enumerate(runs):
        ran = max(3, round((HEIGHT - 3) * (run.ran or 0.0) / longest))
        waited = round((HEIGHT - 3) * (run.delay or 0.0) / longest)
        mark = MARKS.get(run.state)
        found.append(
            {
                "run": run,
                "x": place * STEP,
                "y": HEIGHT - ran,
                "height": ran,
                "width": WIDTH,
                "wait_y": max(0, HEIGHT - ran - waited),
                "wait_height": min(waited, HEIGHT - ran),
                "tone": f"tone-{mark.tone}" if mark else "",
                "missed": run.state == NO_JOB,
            }
        )
    return found
