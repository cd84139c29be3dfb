"""Scores fall as contacts grow old. `scoring` has the rule: a contact counts half after 30 days.

A score is always calculated anew from what is known, never counted down: a night that is missed or comes twice changes
nothing in the end. `score_falls_at` says from when on a lead's score is lower, so only those leads are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from .changes import record
from .events import LeadScoreDecayed, lead_score_decayed
from .models import Activity, Lead
from .work import SCORE_FIELDS, calculate_score

#: Leads of one piece, and pieces of one run: what is left over has its turn the next night.
PIECE, MOST_PIECES = 100, 10_000


def decay(pieces: Iterable[object]) -> dict[str, Any]:
    """Calculate each score anew that is lower by now, and announce it; at most `PIECE` leads for each of the pieces."""
    number, now = 0, timezone.now()
    for _piece in pieces:
        ids = list(_due(now).values_list("pk", flat=True)[:PIECE])
        if not ids:
            break
        number += sum(_lower(lead_id, now) for lead_id in ids)
    return {"decayed": number}


def _due(now: datetime) -> QuerySet[Lead]:
    return Lead.present.filter(score_falls_at__lte=now).order_by("score_falls_at", "pk")


def _lower(lead_id: UUID, now: datetime) -> bool:
    """Whether the lead's score was still to fall, and did."""
    with transaction.atomic():
        # again by its time: another run, or what happened to the lead, may have moved it
        lead = _due(now).select_for_update().filter(pk=lead_id).first()
        if lead is None:
            return False
        old, was_scored = lead.score or 0, lead.score_version == lead.version
        new = calculate_score(lead, now)
        if old == new:
            lead.save(update_fields=SCORE_FIELDS)
            return False
        lead.version += 1
        if was_scored:
            # else a job that is to score what has changed is on its way, and finds it to do
            lead.score_version = lead.version
        lead.save(update_fields=[*SCORE_FIELDS, "version", "score_version", "updated_at"])
        record(lead, Activity.Kind.DECAYED, {"old": old, "new": new})
        lead_score_decayed.announce(
            LeadScoreDecayed(organization_id=lead.organization_id, lead_id=lead_id, old=old, new=new)
        )
    return True
