"""The living processes, and what they leave behind: markers of atomic tasks, jumps of the clock."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Process(models.Model):
    """A process of `run_huey` and its lease: while it lasts, the jobs that the process claimed are its own."""

    id = models.UUIDField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=10)
    queue = models.CharField(_("queue"), max_length=50, blank=True, default="")
    host = models.CharField(_("host"), max_length=100)
    pid = models.PositiveIntegerField(_("process"))
    concurrency = models.PositiveSmallIntegerField(_("concurrency"), default=0)
    started_at = models.DateTimeField(_("started"))
    renewed_at = models.DateTimeField(_("renewed"))
    lease_until = models.DateTimeField(_("lease until"))
    #: seconds by which its machine's clock is ahead of the database's, at least
    clock_offset = models.FloatField(_("clock ahead (s)"), null=True, blank=True)
    #: its last exchange that settled or claimed: its number, when it claimed, and what else was answered, as JSON
    exchange_number = models.BigIntegerField(default=0, db_default=0)
    exchanged_at = models.DateTimeField(null=True)
    reply = models.TextField(default="", db_default="")
    #: "lost" or "interrupted": it is gone, and jobs that somebody holds locked are still to be given back so
    ending = models.CharField(max_length=12, default="", db_default="")
    #: a keeper: when its duties last had all run
    duties_at = models.DateTimeField(_("duties done"), null=True, blank=True)
    #: a worker: what keeps it from working, though its jobs are well
    trouble = models.TextField(_("trouble"), blank=True, default="", db_default="")
    trouble_since = models.DateTimeField(_("in trouble since"), null=True, blank=True)
    #: a worker: how much news of its jobs was dropped, since a receiver did not keep up, and when it last was
    news_dropped = models.BigIntegerField(default=0, db_default=0)
    news_dropped_at = models.DateTimeField(null=True)

    #: a worker: somebody lets it claim nothing more
    paused = models.BooleanField(_("paused"), default=False, db_default=False)

    class Meta:
        verbose_name = _("process")
        verbose_name_plural = _("processes")
        indexes = [models.Index(fields=["lease_until"], name="jobs_process_lease")]

    def __str__(self) -> str:
        return f"{self.kind} {self.queue} {self.host}:{self.pid}".replace("  ", " ")


class Marker(models.Model):
    """That the transaction of an atomic task has committed, of which a broker outside the database may not know (G3).

    The next start of the job finds it, runs nothing and settles with its result; without the result, once the history
    has the end.
    """

    job_id = models.UUIDField(primary_key=True)
    run = models.PositiveSmallIntegerField()
    queue = models.CharField(max_length=50)
    claimed_at = models.DateTimeField()
    result = models.TextField(null=True)  # noqa: DJ001 - NULL is "no result", "null" a result
    #: since when the history has the end
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["ended_at", "claimed_at"], name="jobs_marker_ended")]

    def __str__(self) -> str:
        return str(self.job_id)


class ClockJump(models.Model):
    """That the broker's clock was ahead by so many seconds at least until it was noticed, and of how many jobs."""

    id = models.BigAutoField(primary_key=True)
    noticed_at = models.DateTimeField()
    ahead = models.FloatField()
    jobs = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.ahead:.0f} s until {self.noticed_at:%Y-%m-%d %H:%M}"
