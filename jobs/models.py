"""The jobs' tables. On the database broker `Job` is the queue; on every broker it is the history.

Written by raw SQL in `jobs.broker.database`; the models are for reading and for the admin.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Greatest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from . import clock, reasons
from .policy import shown_priority, stored_priority
from .states import Shown, State, shown


class JobState(models.TextChoices):
    """The stored states with the words that people read."""

    PENDING = State.PENDING.value, pgettext_lazy("job state", "pending")
    QUEUED = State.QUEUED.value, pgettext_lazy("job state", "queued")
    ACTIVE = State.ACTIVE.value, pgettext_lazy("job state", "active")
    COMPLETED = State.COMPLETED.value, pgettext_lazy("job state", "completed")
    FAILED = State.FAILED.value, pgettext_lazy("job state", "failed")
    CANCELLED = State.CANCELLED.value, pgettext_lazy("job state", "cancelled")
    EXPIRED = State.EXPIRED.value, pgettext_lazy("job state", "expired")


class Job(models.Model):
    """One enqueued call of a task."""

    id = models.UUIDField(_("id"), primary_key=True, default=clock.new_id, editable=False)
    run = models.PositiveSmallIntegerField(_("run"), default=1)
    queue = models.CharField(_("queue"), max_length=50)
    task = models.CharField(_("task"), max_length=200)
    state = models.CharField(_("state"), max_length=10, choices=JobState)
    stored_priority = models.SmallIntegerField(_("priority"), db_column="priority", default=0)  # larger first
    message = models.TextField(_("arguments"))
    key = models.CharField(_("key"), max_length=200, null=True, blank=True)  # noqa: DJ001 - NULL is "no key" in the index
    created_at = models.DateTimeField(_("created"))
    ready_at = models.DateTimeField(_("due"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    claimed_at = models.DateTimeField(_("claimed"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    starts = models.PositiveIntegerField(_("starts"), default=0)
    lost = models.PositiveSmallIntegerField(_("lost"), default=0)
    alone = models.BooleanField(_("runs alone"), default=False)
    token = models.BigIntegerField(_("token"), default=0)
    worker_id = models.UUIDField(_("worker"), null=True, blank=True)
    cancel_requested = models.BooleanField(_("cancel requested"), default=False)
    unknown_since = models.DateTimeField(_("not understood since"), null=True, blank=True)
    result = models.TextField(_("result"), null=True, blank=True)  # noqa: DJ001 - NULL is "no result", "null" a result
    error = models.TextField(_("error"), blank=True, default="")
    reason = models.CharField(_("reason"), max_length=250, blank=True, default="")
    event = models.CharField(_("event"), max_length=100, blank=True, default="")
    event_id = models.UUIDField(_("event id"), null=True, blank=True)
    about_type = models.CharField(_("about"), max_length=100, blank=True, default="")
    about_id = models.CharField(_("about id"), max_length=64, blank=True, default="")
    parent_id = models.UUIDField(_("enqueued by job"), null=True, blank=True)
    # from which moment the broker counted `ready_at`; NULL: that is a time that was asked for
    timed_at = models.DateTimeField(null=True, blank=True, editable=False)
    scope = models.CharField(_("scope"), max_length=100, blank=True, default="", db_default="")
    group = models.CharField(_("group"), max_length=100, blank=True, default="", db_default="")
    tags = models.CharField(_("tags"), max_length=500, blank=True, default="", db_default="")  # a JSON list, or empty

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        permissions = [
            ("retry_job", _("Can retry dead letters")),
            ("cancel_job", _("Can cancel jobs")),
            ("promote_job", _("Can run scheduled jobs now")),
            ("pause_queue", _("Can pause and resume queues")),
            ("view_every_scope", _("Can see the jobs of every scope")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "key"],
                condition=Q(state__in=["queued", "active"], key__isnull=False),
                name="jobs_one_live_key",
            ),
            models.CheckConstraint(condition=Q(state__in=[s.value for s in State]), name="jobs_known_state"),
            models.CheckConstraint(
                condition=Q(stored_priority__gte=-100, stored_priority__lte=100), name="jobs_priority"
            ),
        ]
        indexes = [
            models.Index(
                fields=["queue", "stored_priority", "ready_at", "id"],
                condition=Q(state="queued", alone=False),
                name="jobs_ready",
            ),
            models.Index(
                fields=["queue", "ready_at"], condition=Q(state="queued", alone=True), name="jobs_ready_alone"
            ),
            models.Index(fields=["worker_id"], condition=Q(state="active"), name="jobs_active_worker"),
            models.Index(fields=["id"], condition=Q(state="pending"), name="jobs_pending"),
            models.Index(
                fields=["expires_at"],
                condition=Q(state__in=["pending", "queued"], expires_at__isnull=False),
                name="jobs_expiring",
            ),
            # what a clock that was ahead leaves: see broker.database.rewind
            models.Index(
                Greatest("created_at", Coalesce("timed_at", "created_at")),
                condition=Q(state__in=["pending", "queued"]),
                name="jobs_timed",
            ),
            models.Index(fields=["queue", "state", "id"], name="jobs_queue_state"),
            models.Index(fields=["state", "id"], name="jobs_state"),
            # what retention cuts by (G9): the one entry that a job's end costs beside those of its state
            models.Index(
                fields=["queue", "state", "ended_at", "id"], condition=Q(ended_at__isnull=False), name="jobs_ended"
            ),
            models.Index(fields=["task", "id", "queue"], name="jobs_task"),
            models.Index(fields=["key", "id"], condition=Q(key__isnull=False), name="jobs_key"),
            models.Index(fields=["about_type", "about_id", "id"], condition=~Q(about_type=""), name="jobs_about"),
            models.Index(fields=["event_id"], condition=Q(event_id__isnull=False), name="jobs_event"),
            models.Index(fields=["scope", "id"], condition=~Q(scope=""), name="jobs_scope"),
            models.Index(fields=["queue", "group", "id"], condition=~Q(group=""), name="jobs_group"),
            models.Index(fields=["tags", "id"], condition=~Q(tags=""), name="jobs_tags"),
            models.Index(fields=["parent_id"], condition=Q(parent_id__isnull=False), name="jobs_parent"),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.id}"

    @property
    def priority(self) -> int:
        """1 (highest) to 10, as people give and read it."""
        return shown_priority(self.stored_priority)

    @priority.setter
    def priority(self, shown: int) -> None:
        self.stored_priority = stored_priority(shown)

    @property
    def args(self) -> list[Any]:
        """The positional arguments as stored (JSON values)."""
        args = self._content().get("args")
        return args if isinstance(args, list) else []

    @property
    def kwargs(self) -> dict[str, Any]:
        """The named arguments as stored (JSON values)."""
        kwargs = self._content().get("kwargs")
        return kwargs if isinstance(kwargs, dict) else {}

    def _content(self) -> dict[str, Any]:
        """The message; empty if it cannot be read: people must be able to open such a dead letter."""
        try:
            content = json.loads(self.message)
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def shown_state(self, now: datetime | None = None) -> str:
        """What a person reads for this state at `now` (default: this moment)."""
        return shown(self.state, self.ready_at, self.attempts, now or clock.now()).value

    def state_word(self) -> str:
        """The same in the reader's language."""
        return str(STATE_WORDS[self.shown_state()])

    def shown_error(self) -> str:
        """The error in the reader's language, where the engine itself wrote it."""
        return reasons.translated(self.error)

    def shown_reason(self) -> str:
        """The reason in the reader's language, where the engine itself wrote it."""
        return reasons.translated(self.reason)


#: The words for what a job's state reads as.
STATE_WORDS = {
    **{choice.value: choice.label for choice in JobState},
    Shown.SCHEDULED.value: pgettext_lazy("job state", "scheduled"),
    Shown.WAITING.value: pgettext_lazy("job state", "waiting"),
    Shown.RETRYING.value: pgettext_lazy("job state", "retrying"),
    "queued": pgettext_lazy("job state", "queued (any)"),
}


class AttemptOutcome(models.TextChoices):
    """How one start of a job ended; only the first two burn an attempt."""

    COMPLETED = "completed", pgettext_lazy("attempt outcome", "completed")
    FAILED = "failed", pgettext_lazy("attempt outcome", "failed")
    POSTPONED = "postponed", pgettext_lazy("attempt outcome", "postponed")
    HANDED_BACK = "handed_back", pgettext_lazy("attempt outcome", "handed back")
    LOST = "lost", pgettext_lazy("attempt outcome", "lost")
    INTERRUPTED = "interrupted", pgettext_lazy("attempt outcome", "interrupted")
    CANCELLED = "cancelled", pgettext_lazy("attempt outcome", "cancelled")


class Attempt(models.Model):
    """One start of a job and how it ended. `number` counts attempts of the run; losses and hand-backs have none."""

    id = models.BigAutoField(_("id"), primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="timeline", verbose_name=_("job"))
    run = models.PositiveSmallIntegerField(_("run"), default=1)
    number = models.PositiveSmallIntegerField(_("attempt"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=12, choices=AttemptOutcome)
    worker = models.CharField(_("worker"), max_length=120, blank=True, default="")
    claimed_at = models.DateTimeField(_("claimed"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"))
    error = models.TextField(_("error"), blank=True, default="")
    traceback = models.TextField(_("traceback"), blank=True, default="")

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.job_id} {self.get_outcome_display()}"

    def shown_error(self) -> str:
        """The error in the reader's language, where the engine itself wrote it."""
        return reasons.translated(self.error)


class QueueState(models.Model):
    """What holds for a whole queue: paused or not, told to wait, and how many slots of its rate limit are taken."""

    queue = models.CharField(_("queue"), max_length=50, primary_key=True)
    paused = models.BooleanField(_("paused"), default=False)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    wait_until = models.DateTimeField(_("waits until"), null=True, blank=True)
    wait_from = models.DateTimeField(null=True, editable=False)
    # together by the rows of Grant; NULL: the queue had no limit so far
    taken = models.IntegerField(null=True)
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

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")

    def __str__(self) -> str:
        return self.queue


class Grant(models.Model):
    """Slots of a rate limit that one claim took: its jobs start until `start_by`, and a period later they are free."""

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(max_length=50)
    number = models.IntegerField()
    granted_at = models.DateTimeField()
    start_by = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["queue", "start_by"], name="jobs_grant_start_by")]

    def __str__(self) -> str:
        return f"{self.queue} {self.number}"


class QueueStat(models.Model):
    """Exact counters of a queue for one hour, also for jobs that retention has removed.

    On PostgreSQL an hour has several rows, its parts: processes that settle at once then do not wait for each other.
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
    ran_ms = models.BigIntegerField(_("time run (ms)"), default=0)
    waited_ms = models.BigIntegerField(_("time waited (ms)"), default=0)

    class Meta:
        verbose_name = _("queue counters")
        verbose_name_plural = _("queue counters")
        constraints = [models.UniqueConstraint(fields=["queue", "hour", "part"], name="jobs_stat_hour")]

    def __str__(self) -> str:
        return f"{self.queue} {self.hour:%Y-%m-%d %H}"


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
