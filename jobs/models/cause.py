"""What is kept of a cause of dead letters beside these, and since when a release is known."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Cause(models.Model):
    """A cause of dead letters: what its rows do not tell any more, when people heard of it, how far it is retried.

    `first_at` and `first_release` are of the first dead letter that a keeper saw; `alerted_until` is the end of the
    last one that an alert told of, and `alerted_at` when; up to `paced_until` retries of it are spread already.
    """

    id = models.CharField(_("cause"), max_length=16, primary_key=True)
    task = models.CharField(_("task"), max_length=200)
    first_at = models.DateTimeField(_("first seen"))
    first_release = models.CharField(_("first seen in release"), max_length=64, blank=True, default="")
    alerted_at = models.DateTimeField(_("last alert"), null=True, blank=True)
    alerted_until = models.DateTimeField(null=True, editable=False)
    paced_until = models.DateTimeField(null=True, editable=False)
    seen_at = models.DateTimeField(_("last looked at"))

    class Meta:
        verbose_name = _("cause of dead letters")
        verbose_name_plural = _("dead letters by cause")
        indexes = [models.Index(fields=["seen_at"], name="jobs_cause_seen")]

    def __str__(self) -> str:
        return f"{self.task} {self.id}"


class Release(models.Model):
    """A release of the code, and since when a keeper of it runs."""

    name = models.CharField(_("release"), max_length=64, primary_key=True)
    since = models.DateTimeField(_("since"))

    class Meta:
        verbose_name = _("release")
        verbose_name_plural = _("releases")

    def __str__(self) -> str:
        return self.name
