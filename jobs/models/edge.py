"""Which job waits for which, and how the awaited one ended."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Edge(models.Model):
    """A job waits for another one; `state` is how that ended, empty as long as it has not.

    What is kept of its end is kept here, so that retention may keep nothing of the awaited job itself.
    """

    waiting_id = models.UUIDField(_("waiting job"))
    position = models.PositiveIntegerField(_("position"))
    awaited_id = models.UUIDField(_("awaited job"))
    state = models.CharField(_("state"), max_length=10, blank=True, default="")
    result = models.TextField(_("result"), null=True, blank=True)  # noqa: DJ001 - NULL is "no result", "null" a result
    error = models.TextField(_("error"), blank=True, default="")
    # somebody had the waiting job run all the same
    excused = models.BooleanField(_("excused"), default=False, db_default=False)

    class Meta:
        verbose_name = _("edge between jobs")
        verbose_name_plural = _("edges between jobs")
        # in this order: who looks for the states of what a job waits for must not walk over all of it
        constraints = [models.UniqueConstraint(fields=["position", "waiting_id"], name="jobs_edge_position")]
        indexes = [
            models.Index(fields=["awaited_id"], name="jobs_edge_awaited"),
            models.Index(fields=["waiting_id", "state"], name="jobs_edge_states"),
        ]

    def __str__(self) -> str:
        return f"{self.waiting_id} after {self.awaited_id}"
