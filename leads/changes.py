"""Every change of a lead writes a line of its timeline."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from .models import Activity, Lead


def record(
    lead: Lead, kind: Activity.Kind, detail: dict[str, Any] | None = None, actor: AbstractBaseUser | None = None
) -> Activity:
    """Write a line of the timeline and move the lead's last activity, in the caller's transaction."""
    lead.last_activity_at = timezone.now()
    Lead.objects.filter(pk=lead.pk).update(last_activity_at=lead.last_activity_at)
    return Activity.objects.create(lead=lead, kind=kind, detail=detail or {}, actor_id=actor.pk if actor else None)
