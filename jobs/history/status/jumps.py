"""Findings about the broker's own clock: it was ahead once, and what that left."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import npgettext

from ...conf import jobs_settings
from ...models import Schedule
from ..jumps import jobs_to_come, last_jump
from ..verdict import duration
from .finding import Finding

#: For so long it is told that the clock was ahead.
TOLD = timedelta(days=1)


def findings_of_jumps(now: datetime) -> list[Finding]:
    """What waits for a moment that was counted by a clock that was ahead, and that the clock was ahead."""
    return [*_jobs_to_come(now), *_schedules_to_come(now), *_last_jump(now)]


def _jobs_to_come(now: datetime) -> list[Finding]:
    number = jobs_to_come(now)
    if not number.number:
        return []
    text = npgettext(
        "finding",
        "The clock was ahead: %(count)s job was accepted at a moment that is yet to come, and waits for it. See that "
        "`manage.py run_huey` runs: its keeper sets that right within seconds.",
        "The clock was ahead: %(count)s jobs were accepted at a moment that is yet to come, and wait for it. See that "
        "`manage.py run_huey` runs: its keeper sets that right within seconds.",
        number.number,
    )
    return [Finding("jobs_to_come", "", text % {"count": number})]


def _schedules_to_come(now: datetime) -> list[Finding]:
    schedules = Schedule.objects.using(jobs_settings().database).filter(last_tick__gt=now + timedelta(minutes=1))
    name = schedules.order_by("-last_tick").values_list("name", flat=True).first()
    if name is None:
        return []
    text = _(
        "The clock was ahead: the last tick of %(task)s is yet to come. See that `manage.py run_huey` runs: its keeper "
        "sets that right within seconds, if the task is still defined."
    )
    return [Finding("schedule_to_come", "", text % {"task": name})]


def _last_jump(now: datetime) -> list[Finding]:
    jump = last_jump(now - TOLD)
    if jump is None:
        return []
    values = {
        "time": duration(jump.ahead),
        "until": date_format(localtime(jump.noticed_at), "SHORT_DATETIME_FORMAT"),
        "count": jump.jobs,
    }
    text = npgettext(
        "finding",
        "The clock was ahead by %(time)s until %(until)s; %(count)d job was due in the future, and is set right. Let "
        "NTP set the clock.",
        "The clock was ahead by %(time)s until %(until)s; %(count)d jobs were due in the future, and are set right. "
        "Let NTP set the clock.",
        jump.jobs,
    )
    return [Finding("clock_was_ahead", "", text % values, needs_person=False, since=jump.noticed_at)]
