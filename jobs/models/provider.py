"""What is kept of a provider beside the counters of its calls: how the last one failed."""

from __future__ import annotations

from django.db import models


class ProviderFailure(models.Model):
    """The last call of a provider that failed, by the type of its error; its text stays with the job, and is masked."""

    provider = models.CharField(max_length=50, primary_key=True)
    error_type = models.CharField(max_length=100)
    at = models.DateTimeField()
    job_id = models.UUIDField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.provider} {self.error_type}"
