"""Every change of a lead writes a line of its timeline."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from .models import Activity, Lead


def record(
    lead: Lead, kind: Activity.Kind, detail: dict[str, Any] | None = None, actor: AbstractBaseUser | None = None
) -> Activity:
    """Write a line of the timeline and move the lead's last activity, in the caller's transaction.

    What a person did touches the lead, and so does giving it to somebody. That time went by is no activity.
    """
    touched = actor is not None or kind == Activity.Kind.ASSIGNED
    moved = _touched() if touched else {} if kind == Activity.Kind.DECAYED else _active()
    for name, value in moved.items():
        setattr(lead, name, value)
    if moved:
        Lead.objects.filter(pk=lead.pk).update(**moved)
    return Activity.objects.create(lead=lead, kind=kind, detail=detail or {}, actor_id=actor.pk if actor else None)


def touch(lead_id: UUID) -> bool:
    """Note that a person has done something with the lead that is no line of its own; False if it is gone."""
    return bool(Lead.present.filter(pk=lead_id).update(**_touched()))


def _active() -> dict[str, Any]:
    return {"last_activity_at": timezone.now()}


def _touched() -> dict[str, Any]:
    return {**_active(), "touched_at": timezone.now(), "stale_at": None}
