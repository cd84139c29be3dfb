"""A mark on the charts: from here on other code runs."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class DeployMark(models.Model):
    """That somebody deployed something at a moment: see `jobs.operate.deploys`."""

    id = models.BigAutoField(primary_key=True)
    label = models.CharField(_("what was deployed"), max_length=100)
    at = models.DateTimeField(_("deployed"))
    # the person's primary key as text: users may be in another database
    by_id = models.CharField(_("by"), max_length=64, blank=True, default="", db_default="")

    class Meta:
        verbose_name = _("deploy mark")
        verbose_name_plural = _("deploy marks")
        default_permissions = ()
        indexes = [models.Index(fields=["at"], name="jobs_deploy_at")]

    def __str__(self) -> str:
        return self.label
