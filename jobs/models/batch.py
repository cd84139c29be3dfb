"""Many jobs with one count, one end and jobs that follow it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .. import clock


class Batch(models.Model):
    """A batch; it has ended once all its jobs have, and never begins again."""

    id = models.UUIDField(_("id"), primary_key=True, default=clock.new_id, editable=False)
    name = models.CharField(_("name"), max_length=200, blank=True, default="")
    created_at = models.DateTimeField(_("created"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    # all its jobs have completed, some perhaps after a retry
    succeeded = models.BooleanField(_("succeeded"), default=False, db_default=False)
    # somebody cancelled it: nothing is added any more
    cancelled = models.BooleanField(_("cancelled"), default=False, db_default=False)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        indexes = [
            models.Index(fields=["id"], condition=Q(ended_at__isnull=True), name="jobs_batch_open"),
            models.Index(fields=["ended_at"], condition=Q(ended_at__isnull=False), name="jobs_batch_ended"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.pk)


class Member(models.Model):
    """A job of a batch; `state` is how it ended, empty as long as it has not. The job itself need not be kept.

    `role` is empty, or names the end that the job follows (`complete`, `success`, `failure`); its state is `follows`.
    """

    batch_id = models.UUIDField(_("batch"))
    job_id = models.UUIDField(_("job"))
    role = models.CharField(_("role"), max_length=8, blank=True, default="", db_default="")
    state = models.CharField(_("state"), max_length=10, blank=True, default="", db_default="")
    # not the job that was added, but the one that held its key
    lent = models.BooleanField(_("holds the key of one"), default=False, db_default=False)

    class Meta:
        verbose_name = _("job of a batch")
        verbose_name_plural = _("jobs of batches")
        indexes = [
            models.Index(fields=["batch_id", "state"], name="jobs_member_batch"),
            models.Index(fields=["job_id"], name="jobs_member_job"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} of {self.batch_id}"
