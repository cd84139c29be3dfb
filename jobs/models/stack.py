"""That somebody wants to see where a running job is, and what its worker answered."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class StackRequest(models.Model):
    """A question to one worker process about one of its jobs; gone some time after, see `jobs.operate.stack`.

    Without a foreign key: on Redis a job may live without a row.
    """

    id = models.BigAutoField(primary_key=True)
    job_id = models.UUIDField(_("job"))
    worker_id = models.UUIDField(_("worker"))
    asked_at = models.DateTimeField(_("asked"))
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    #: frames with their source lines and without values; empty: the job did not run there any more
    stack = models.TextField(blank=True, default="", db_default="")

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["worker_id"], condition=models.Q(answered_at__isnull=True), name="jobs_stack_open"),
            models.Index(fields=["job_id", "id"], name="jobs_stack_job"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.asked_at}"
