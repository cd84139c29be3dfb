"""History in Django's admin, written for a million rows: keyset pages, counts that stop early, bounded searches."""

from __future__ import annotations

from django.contrib import admin

from ..models import Attempt, Batch, Cause, Job, Operation, Schedule
from .attempt import AttemptAdmin
from .batch import BatchAdmin
from .cause import CauseAdmin
from .job import JobAdmin
from .operation import OperationAdmin
from .schedule import ScheduleAdmin

__all__ = ["AttemptAdmin", "BatchAdmin", "CauseAdmin", "JobAdmin", "OperationAdmin", "ScheduleAdmin"]

admin.site.register(Job, JobAdmin)
admin.site.register(Attempt, AttemptAdmin)
admin.site.register(Cause, CauseAdmin)
admin.site.register(Schedule, ScheduleAdmin)
admin.site.register(Batch, BatchAdmin)
admin.site.register(Operation, OperationAdmin)
