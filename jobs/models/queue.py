"""What is kept of a whole queue: its state, the grants of its rate limit, its counters."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class QueueState(models.Model):
    """What holds for a whole queue: paused or not, told to wait, and how many slots of its rate limit are taken."""

    queue = models.CharField(_("queue"), max_length=50, primary_key=True)
    paused = models.BooleanField(_("paused"), default=False)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    # sorted, and stored as a job's tags are
    paused_tags = models.TextField(_("paused tags"), blank=True, default="", db_default="")
    wait_until = models.DateTimeField(_("waits until"), null=True, blank=True)
    wait_from = models.DateTimeField(null=True, editable=False)
    # together by the rows of Grant; NULL: the queue had no limit so far
    taken = models.IntegerField(null=True)
    # what was set at run time in place of what the code says; NULL: nothing, 0: no limit
    rate_limit = models.IntegerField(null=True)
    rate_per = models.FloatField(null=True)
    concurrency = models.PositiveSmallIntegerField(null=True)
    global_concurrency = models.IntegerField(null=True)
    # how often jobs came back to their old places; only PostgreSQL asks: see broker.database.postgresql.dead_rows
    returns = models.BigIntegerField(default=0, db_default=0)
    # a broker that is not the rows: which life of its store, and up to which of its facts this history holds
    generation = models.CharField(max_length=32, default="", db_default="")
    merged = models.CharField(max_length=40, default="", db_default="")
    # and of which life of its store all live rows were pushed to it
    life = models.CharField(max_length=100, default="", db_default="")
    # the same of some that may be read again: in turn with another server in a move, or of two primaries
    former = models.CharField(max_length=500, default="", db_default="")
    # such a broker keeps the queue's jobs: the database's own workers take nothing
    elsewhere = models.BooleanField(default=False, db_default=False)
    # and from this one `jobs move` has taken them: whoever still uses it leaves the rows alone
    left_store = models.CharField(max_length=16, default="", db_default="")

    # the group that was served last, by priority, as JSON; only of a queue whose jobs have groups
    turns = models.TextField(default="", db_default="")

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")

    def __str__(self) -> str:
        return self.queue


class GroupState(models.Model):
    """What holds for one group of a queue otherwise than the queue says; on every broker.

    Only for groups for which something does: a row that says nothing is removed.
    """

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(_("queue"), max_length=50)
    name = models.CharField(_("group"), max_length=100)
    paused = models.BooleanField(_("paused"), default=False)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    # told to wait, by the database broker's own workers
    wait_until = models.DateTimeField(_("waits until"), null=True, blank=True)
    wait_from = models.DateTimeField(null=True, editable=False)
    concurrency = models.PositiveIntegerField(_("concurrency"), null=True, blank=True)
    rate_limit = models.PositiveIntegerField(_("starts"), null=True, blank=True)
    rate_per = models.FloatField(null=True, blank=True)

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["queue", "name"], name="jobs_one_group")]
        indexes = [
            models.Index(fields=["wait_until"], condition=Q(wait_until__isnull=False), name="jobs_group_waits"),
        ]

    def __str__(self) -> str:
        return f"{self.queue} {self.name}"


class Grant(models.Model):
    """Slots of a rate limit that one claim took: its jobs start until `start_by`, and a period later they are free.

    `subject`: empty for the queue's own limit, `g` and the name of one of its groups, or `l` and the name of a limit
    that several queues share, with an empty `queue`.
    """

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(max_length=50)
    subject = models.CharField(max_length=101, default="", db_default="")
    number = models.IntegerField()
    granted_at = models.DateTimeField()
    start_by = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["queue", "subject", "start_by"], name="jobs_grant_start_by")]

    def __str__(self) -> str:
        return f"{self.queue} {self.number}"


class Throttle(models.Model):
    """That a key was throttled: until when its first job answers for the others, also when it has ended.

    Of the database broker only; what has passed goes with `keep.prune`.
    """

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(max_length=50)
    key = models.CharField(max_length=200)
    job_id = models.UUIDField()
    until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["queue", "key"], name="jobs_one_throttle_a_key")]
        indexes = [models.Index(fields=["until"], name="jobs_throttle_until")]

    def __str__(self) -> str:
        return f"{self.queue} {self.job_id}"


class TaskStat(models.Model):
    """Exact counters of a task for one hour, also for jobs that retention has removed: see `jobs.broker.tally`.

    A row counts the jobs of one outcome that ran and had waited for about as long; it has no task where a broker could
    not keep that. On PostgreSQL an hour has several such rows, its parts: processes that settle at once then do not
    wait for each other. What an old hour counted is in the row of the beginning of time, and again in the part `SHOWN`.
    """

    #: The part that shows an hour whose numbers are in the total already.
    SHOWN = -1

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(max_length=50)
    task = models.CharField(max_length=200)
    outcome = models.CharField(max_length=12)
    ran = models.SmallIntegerField()
    waited = models.SmallIntegerField()
    hour = models.DateTimeField()
    part = models.SmallIntegerField()
    jobs = models.BigIntegerField()
    ran_ms = models.BigIntegerField()
    waited_ms = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "task", "outcome", "ran", "waited", "hour", "part"], name="jobs_one_task_stat"
            )
        ]
        # the sums since ever, whatever the hours show
        indexes = [
            models.Index(fields=["queue"], condition=Q(part__gte=0), name="jobs_task_stat_totals"),
            # and what the past hours show, however many tasks there are
            models.Index(fields=["hour"], name="jobs_task_stat_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.queue} {self.task} {self.outcome} {self.hour:%Y-%m-%d %H}"


class QueueStat(models.Model):
    """Counters of a queue for one hour as the release before this one wrote them; `keep.prune` takes them over.

    Workers of that release may still run beside these.
    """

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(_("queue"), max_length=50)
    hour = models.DateTimeField(_("hour"))
    part = models.PositiveSmallIntegerField(default=0)
    completed = models.BigIntegerField(_("completed"), default=0)
    failed = models.BigIntegerField(_("failed"), default=0)
    retried = models.BigIntegerField(_("retried"), default=0)
    lost = models.BigIntegerField(_("lost"), default=0)
    cancelled = models.BigIntegerField(_("cancelled"), default=0)
    expired = models.BigIntegerField(_("expired"), default=0)
    discarded = models.BigIntegerField(_("discarded"), default=0, db_default=0)
    ran_ms = models.BigIntegerField(_("time run (ms)"), default=0)
    waited_ms = models.BigIntegerField(_("time waited (ms)"), default=0)

    class Meta:
        verbose_name = _("queue counters")
        verbose_name_plural = _("queue counters")
        constraints = [models.UniqueConstraint(fields=["queue", "hour", "part"], name="jobs_stat_hour")]

    def __str__(self) -> str:
        return f"{self.queue} {self.hour:%Y-%m-%d %H}"
