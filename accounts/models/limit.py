"""How often something may happen: kept in the database, so that all processes count together."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Limit(models.Model):
    """The latest times at which something limited happened. `key` is a keyed hash: no address is kept."""

    key = models.CharField(max_length=64, primary_key=True)
    times = models.JSONField(_("times"), default=list)
    #: from then on the row says nothing any more
    ends_at = models.DateTimeField(_("ends"), db_index=True)

    class Meta:
        verbose_name = _("limit")
        verbose_name_plural = _("limits")

    def __str__(self) -> str:
        return self.key
