"""History in Django's admin, written for a million rows: keyset pages, counts that stop early, bounded searches."""

from __future__ import annotations

from django.contrib import admin

from ..models import Attempt, Job
from .attempt import AttemptAdmin
from .job import JobAdmin

__all__ = ["AttemptAdmin", "JobAdmin"]

admin.site.register(Job, JobAdmin)
admin.site.register(Attempt, AttemptAdmin)
