"""What a job's task tells of itself and keeps for its next start; for each job that does so, and no other.

Without a foreign key: on Redis a job may live, and end, without a row. They go with the job (`jobs.history.inside`).
"""

from __future__ import annotations

from django.db import models


class JobProgress(models.Model):
    """How far the job's task last said it is; `told_by` is the claim of the start that said so."""

    job_id = models.UUIDField(primary_key=True)
    queue = models.CharField(max_length=50)
    told_by = models.DateTimeField()
    done = models.FloatField()
    total = models.FloatField(null=True)
    text = models.CharField(max_length=200, default="", db_default="")
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.job_id} {self.done:g}"


class LogPart(models.Model):
    """Some lines that one start of a job logged, one behind the other, as JSON: [[seconds since 1970, text], ...].

    `first` is the number of the first of them among the start's.
    """

    id = models.BigAutoField(primary_key=True)
    job_id = models.UUIDField()
    queue = models.CharField(max_length=50)
    run = models.PositiveSmallIntegerField()
    start = models.PositiveIntegerField()
    attempt = models.PositiveSmallIntegerField()
    first = models.PositiveIntegerField()
    lines = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["job_id", "id"], name="jobs_logpart_job")]

    def __str__(self) -> str:
        return f"{self.job_id} {self.run}/{self.start}: {self.first}"


class Kept(models.Model):
    """What a job keeps for its next start, as JSON: `step:NAME` a step's result, `items:NAME` a cursor.

    Beside them, of each job that keeps something: `token`, the claim that may do so, and `stops`, how many starts of
    the run ended by themselves between two items.
    """

    id = models.BigAutoField(primary_key=True)
    job_id = models.UUIDField()
    queue = models.CharField(max_length=50)
    name = models.CharField(max_length=110)
    value = models.TextField()
    kept_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job_id", "name"], name="jobs_kept_once")]

    def __str__(self) -> str:
        return f"{self.job_id} {self.name}"
