"""Something that a person does to all jobs that a filter of the admin's list means."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .. import clock


class Verb(models.TextChoices):
    """What is done to each job."""

    RETRY = "retry", pgettext_lazy("button", "Retry")
    PROMOTE = "promote", pgettext_lazy("button", "Run now")
    CANCEL = "cancel", pgettext_lazy("button", "Cancel")
    DISCARD = "discard", pgettext_lazy("button", "Discard")
    SET_PRIORITY = "set_priority", pgettext_lazy("button", "Change priority")
    RESCHEDULE = "reschedule", pgettext_lazy("button", "Change due time")


class Operation(models.Model):
    """An operation on many jobs, which keepers work off in pieces; see `jobs.operate.operations`.

    Of the jobs up to `newest`, all up to `last` have had their turn; `next_at` is when the next piece may begin, or
    when another keeper may take over from the one that has begun it.
    """

    id = models.UUIDField(_("id"), primary_key=True, default=clock.new_id, editable=False)
    verb = models.CharField(_("what is done"), max_length=20, choices=Verb)
    chosen = models.TextField(_("which jobs"), editable=False)  # JSON
    # what the verb takes beside the job, as JSON
    given = models.TextField(blank=True, default="", db_default="", editable=False)
    # the person's primary key as text: users may be in another database
    by_id = models.CharField(_("by"), max_length=64)
    language = models.CharField(max_length=20, blank=True, default="", editable=False)
    pace = models.FloatField(_("jobs a second"), null=True, blank=True)
    newest = models.UUIDField(editable=False)
    last = models.UUIDField(editable=False)
    total = models.PositiveIntegerField(_("jobs"))
    done = models.PositiveIntegerField(_("done"), default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0)
    first_refusal = models.CharField(_("first refusal"), max_length=250, blank=True, default="")
    created_at = models.DateTimeField(_("created"))
    next_at = models.DateTimeField(editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    stopped = models.BooleanField(_("stopped"), default=False)
    problem = models.CharField(_("problem"), max_length=250, blank=True, default="")

    class Meta:
        verbose_name = _("operation on many jobs")
        verbose_name_plural = _("operations on many jobs")
        default_permissions = ()
        indexes = [
            models.Index(fields=["next_at"], condition=Q(ended_at__isnull=True), name="jobs_operation_open"),
            models.Index(fields=["ended_at"], condition=Q(ended_at__isnull=False), name="jobs_operation_ended"),
            models.Index(fields=["by_id", "id"], name="jobs_operation_by"),
        ]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} …{str(self.pk)[-8:]}"
