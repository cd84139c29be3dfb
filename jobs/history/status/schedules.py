"""Findings about schedules: those that cannot tick."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ...conf import jobs_settings
from ...models import Schedule
from .finding import Finding

#: So many are told, the oldest trouble first.
MOST = 10


def findings_of_schedules() -> list[Finding]:
    """What keeps an enabled schedule from ticking; its keeper tries again within a minute."""
    rows = Schedule.objects.using(jobs_settings().database).filter(enabled=True, gone_at=None).exclude(trouble="")
    text = _(
        "Schedule %(name)s cannot tick: %(text)s. Mend it, or disable it with `manage.py jobs schedules disable NAME`."
    )
    return [
        Finding("schedule_failing", "", text % {"name": row.name, "text": row.trouble}, since=row.trouble_at)
        for row in rows.order_by("trouble_at")[:MOST]
    ]
