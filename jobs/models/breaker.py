"""What is kept of a circuit breaker: the failures that count, since when it is open, and who probes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..policy import Breaker


class BreakerState(models.Model):
    """A breaker on every broker: closed without `opened_at`; half open while a process probes (`probe_by`).

    The rule is the code's; a row is made at the first failure. Times are by the database's clock, and one that was set
    back keeps nothing open: a moment further ahead than the rule's time counts as past.
    """

    name = models.CharField(_("name"), max_length=100, primary_key=True)
    # seconds since 1970 of the failures that count, as JSON
    failed = models.TextField(default="", db_default="")
    opened_at = models.DateTimeField(_("open since"), null=True)
    by_hand = models.BooleanField(_("opened by hand"), default=False, db_default=False)
    probe_at = models.DateTimeField(_("next probe"), null=True)
    probe_by = models.UUIDField(null=True)
    probe_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("breaker")
        verbose_name_plural = _("breakers")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    def failures(self, rule: Breaker, now: datetime) -> list[float]:
        """The moments of the failures that still count."""
        until = now.timestamp()
        moments: list[float] = json.loads(self.failed or "[]")
        return [moment for moment in moments if until - rule.within < moment <= until]

    def fail(self, rule: Breaker, now: datetime) -> bool:
        """Count a failure; whether the breaker opens."""
        if self.opened_at is not None:
            return False
        moments = [*self.failures(rule, now), now.timestamp()]
        self.failed = json.dumps(moments)
        if len(moments) < rule.failures:
            return False
        self.open(now, probe_at=now + timedelta(seconds=rule.probe_after))
        return True

    def open(self, now: datetime, *, probe_at: datetime | None) -> None:
        """Open it; without `probe_at` until somebody closes it by hand."""
        self.opened_at = now if self.opened_at is None else self.opened_at
        self.by_hand, self.probe_at, self.probe_by, self.probe_until = probe_at is None, probe_at, None, None

    def close(self) -> None:
        """Close it, and forget its failures."""
        self.failed, self.opened_at = "", None
        self.by_hand, self.probe_at, self.probe_by, self.probe_until = False, None, None, None

    def is_probed(self, rule: Breaker, now: datetime) -> bool:
        """Whether a process probes now."""
        return self.probe_by is not None and _is_ahead(self.probe_until, rule, now)

    def may_be_probed(self, rule: Breaker, now: datetime) -> bool:
        """Whether a process may begin to probe."""
        is_open = self.opened_at is not None and not self.by_hand
        return is_open and not _is_ahead(self.probe_at, rule, now) and not self.is_probed(rule, now)

    def begin_probe(self, rule: Breaker, by: UUID, now: datetime) -> bool:
        """Let this process probe; False: another one was faster, or something else has changed."""
        as_seen = {
            name: getattr(self, name) for name in ("opened_at", "by_hand", "probe_at", "probe_by", "probe_until")
        }
        rows = BreakerState.objects.using(self._state.db).filter(pk=self.pk, **as_seen)
        return bool(rows.update(probe_by=by, probe_until=now + timedelta(seconds=rule.probe_after)))


def _is_ahead(moment: datetime | None, rule: Breaker, now: datetime) -> bool:
    return moment is not None and now < moment.astimezone(UTC) <= now + timedelta(seconds=rule.probe_after)
