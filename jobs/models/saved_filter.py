"""A filter of the job list that somebody has saved under a name."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class SavedFilter(models.Model):
    """The address of a list of jobs, by name: its owner's, or `shared` with whoever may look at jobs.

    `is_default`: the list that its owner sees first.
    """

    id = models.BigAutoField(_("id"), primary_key=True)
    name = models.CharField(_("name"), max_length=60)
    # the person's primary key as text: users may be in another database
    by_id = models.CharField(_("by"), max_length=64)
    # as in the list's address: state=failed&q=queue%3Aemail
    address = models.CharField(max_length=2_000)
    shared = models.BooleanField(_("shared"), default=False, db_default=False)
    is_default = models.BooleanField(_("shown first"), default=False, db_default=False)

    class Meta:
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        default_permissions = ()
        permissions = [("share_filter", _("Can share saved filters of jobs with everybody"))]
        constraints = [
            models.UniqueConstraint(fields=["by_id", "name"], name="jobs_one_filter_name"),
            models.UniqueConstraint(fields=["by_id"], condition=Q(is_default=True), name="jobs_one_default_filter"),
        ]
        indexes = [models.Index(fields=["name"], condition=Q(shared=True), name="jobs_filter_shared")]

    def __str__(self) -> str:
        return self.name
