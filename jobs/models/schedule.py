"""The last tick of each periodic task."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Schedule(models.Model):
    """The last tick of a periodic task; a tick fires once because one transaction moves it and inserts the job.

    `run_from` is the first of the ticks up to the last that fired one after the other, `run_after` the tick before
    them: what to return to when the clock was ahead. Those of `skip_from` to `skip_until` have fired then, and do not
    again.
    """

    task = models.CharField(_("task"), max_length=200, primary_key=True)
    last_tick = models.DateTimeField(_("last tick"))
    run_from = models.DateTimeField(null=True, editable=False)
    run_after = models.DateTimeField(null=True, editable=False)
    skip_from = models.DateTimeField(null=True, editable=False)
    skip_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")

    def __str__(self) -> str:
        return self.task
