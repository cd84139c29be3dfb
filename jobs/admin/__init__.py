"""History in Django's admin, written for a million rows: keyset pages, counts that stop early, bounded searches."""

from __future__ import annotations

from django.contrib import admin

from ..models import Attempt, Cause, Job, Schedule
from .attempt import AttemptAdmin
from .cause import CauseAdmin
from .job import JobAdmin
from .schedule import ScheduleAdmin

__all__ = ["AttemptAdmin", "CauseAdmin", "JobAdmin", "ScheduleAdmin"]

admin.site.register(Job, JobAdmin)
admin.site.register(Attempt, AttemptAdmin)
admin.site.register(Cause, CauseAdmin)
admin.site.register(Schedule, ScheduleAdmin)
