"""A job: on the database broker its row is the queue's entry; on every broker it is the history."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Greatest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .. import clock, reasons
from ..policy import shown_priority, stored_priority
from ..states import Shown, State, shown


class JobState(models.TextChoices):
    """The stored states with the words that people read."""

    BLOCKED = State.BLOCKED.value, pgettext_lazy("job state", "blocked")
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
    # of a row of the outbox: what is to happen where its key is held; see jobs.broker.pushes
    rule = models.CharField(max_length=40, null=True, editable=False)  # noqa: DJ001 - NULL costs nothing
    tags = models.CharField(_("tags"), max_length=500, blank=True, default="", db_default="")  # a JSON list, or empty
    # what follows if one of the jobs that this one waits for ends otherwise than completed; empty: it fails
    on_failure = models.CharField(_("on failure"), max_length=6, blank=True, default="", db_default="")
    # jobs of one sequence run one after another; `place`: which one it is since the sequence was empty, given once it
    # is committed, anew when a dead letter is retried
    sequence = models.CharField(_("sequence"), max_length=100, blank=True, default="", db_default="")
    place = models.BigIntegerField(_("place in the sequence"), null=True, blank=True, editable=False)
    # where it stands while it waits: see jobs.broker.lanes
    lane = models.CharField(max_length=411, blank=True, default="", db_default="", editable=False)
    # another job waits for this one, and has not been told of its end yet
    awaited = models.BooleanField(_("awaited"), default=False, db_default=False, editable=False)
    # of a dead letter: see jobs.fingerprint; while its next run lives, those of the run before
    cause = models.CharField(_("cause"), max_length=16, blank=True, default="", db_default="", editable=False)
    release = models.CharField(_("release"), max_length=64, blank=True, default="", db_default="", editable=False)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        permissions = [
            ("retry_job", _("Can retry dead letters")),
            ("cancel_job", _("Can cancel jobs")),
            ("discard_job", _("Can discard dead letters")),
            ("edit_job", _("Can edit the arguments of jobs")),
            ("edit_personal_arguments", _("Can edit personal arguments of jobs")),
            ("view_personal_arguments", _("Can see personal arguments of jobs")),
            ("view_stack", _("Can see where running jobs are")),
            ("promote_job", _("Can run scheduled jobs now")),
            ("pause_queue", _("Can pause and resume queues")),
            ("change_limits", _("Can change the limits of queues")),
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
                condition=Q(state="queued", alone=False, lane=""),
                name="jobs_ready",
            ),
            # of jobs with a lane: those that are due, and the first of each lane; others pay for neither
            models.Index(
                fields=["queue", "stored_priority", "ready_at", "id"],
                condition=Q(state="queued", alone=False) & ~Q(lane=""),
                name="jobs_ready_laned",
            ),
            models.Index(
                fields=["queue", "stored_priority", "lane", "ready_at", "id"],
                condition=Q(state="queued", alone=False) & ~Q(lane=""),
                name="jobs_lanes",
            ),
            models.Index(fields=["queue", "lane"], condition=Q(state="active") & ~Q(lane=""), name="jobs_active_lane"),
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
            models.Index(
                fields=["expires_at"],
                condition=Q(state="blocked", expires_at__isnull=False),
                name="jobs_blocked_expiring",
            ),
            models.Index(fields=["state", "queue", "id"], condition=Q(awaited=True), name="jobs_awaited"),
            models.Index(
                fields=["queue", "sequence", "place"],
                condition=Q(sequence__gt="", ended_at__isnull=True),  # a list of states would cost each end a table
                name="jobs_sequence",
            ),
            models.Index(
                fields=["queue", "sequence"],
                condition=Q(sequence__gt="", state="blocked", place__isnull=True),
                name="jobs_unplaced",
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
            # dead letters by cause, each in the order of their ends; with whose they are, so that no row is read
            models.Index(
                fields=["cause", "ended_at", "id", "scope"], condition=Q(state="failed"), name="jobs_dead_cause"
            ),
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
