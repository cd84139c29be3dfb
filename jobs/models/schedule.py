"""The schedules: those that the code defines, and those that people made for a task."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Missed(models.TextChoices):
    """What becomes of the ticks at which no keeper ran."""

    ONCE = "once", pgettext_lazy("missed ticks", "one job for the last of them")
    SKIP = "skip", pgettext_lazy("missed ticks", "no job")
    ALL = "all", pgettext_lazy("missed ticks", "a job for each, 100 at most")


class Overlap(models.TextChoices):
    """What becomes of a tick while the job of the one before it lives."""

    ALLOW = "allow", pgettext_lazy("overlap", "a job in any case")
    SKIP = "skip", pgettext_lazy("overlap", "no job")
    WAIT = "wait", pgettext_lazy("overlap", "one job after that has ended")


class Schedule(models.Model):
    """A rule that enqueues a task at times; a tick fires once because one transaction moves it and inserts the job.

    `from_code`: the code gives the rule, and the row repeats it for people; `gone_at` is when a keeper started whose
    code does not have it any more. `run_from` is the first of the ticks up to the last that fired one after the other,
    `run_after` the tick before them: what to return to when the clock was ahead. Those of `skip_from` to `skip_until`
    have fired then, and do not again. `waiting_tick` waits for the end of `last_job`.
    """

    name = models.CharField(_("name"), max_length=300, unique=True)
    task = models.CharField(_("task"), max_length=200)
    from_code = models.BooleanField(_("from the code"), default=False, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    expression = models.CharField(_("cron expression"), max_length=200, blank=True, default="")
    seconds = models.PositiveIntegerField(_("seconds"), null=True, blank=True)
    timezone = models.CharField(_("time zone"), max_length=100, blank=True, default="")
    missed = models.CharField(_("missed ticks"), max_length=10, choices=Missed, default=Missed.ONCE)
    overlap = models.CharField(_("overlap"), max_length=10, choices=Overlap, default=Overlap.ALLOW)
    jitter = models.FloatField(_("jitter (seconds)"), default=0)
    start = models.DateTimeField(_("start"), null=True, blank=True)
    end = models.DateTimeField(_("end"), null=True, blank=True)
    count = models.PositiveIntegerField(_("at most so many ticks"), null=True, blank=True)
    args = models.JSONField(_("positional arguments"), default=list, blank=True)
    kwargs = models.JSONField(_("named arguments"), default=dict, blank=True)

    gone_at = models.DateTimeField(_("taken out of the code"), null=True, editable=False)
    last_tick = models.DateTimeField(_("last tick"))
    run_from = models.DateTimeField(null=True, editable=False)
    run_after = models.DateTimeField(null=True, editable=False)
    skip_from = models.DateTimeField(null=True, editable=False)
    skip_until = models.DateTimeField(null=True, editable=False)
    waiting_tick = models.DateTimeField(_("tick that waits"), null=True, editable=False)
    last_job = models.UUIDField(_("last job"), null=True, editable=False)
    fired = models.PositiveIntegerField(_("ticks that made a job"), default=0, editable=False)
    fired_at = models.DateTimeField(_("last tick that made a job"), null=True, editable=False)
    skipped_at = models.DateTimeField(_("last tick left out"), null=True, editable=False)
    trouble = models.CharField(_("trouble"), max_length=250, blank=True, default="", editable=False)
    trouble_at = models.DateTimeField(_("trouble since"), null=True, editable=False)

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        permissions = [("run_schedule", _("Can run schedules now"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(expression="", seconds__isnull=False)
                | Q(~Q(expression=""), seconds__isnull=True)
                | Q(from_code=True),
                name="jobs_schedule_one_rule",
            ),
        ]

    def __str__(self) -> str:
        return self.name
