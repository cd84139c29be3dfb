"""An attempt: one start of a job."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .. import reasons
from .job import Job


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
