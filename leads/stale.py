"""Leads that nobody touches any more: each is marked, and its assignee hears of it, once until somebody touches it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from .events import LeadGrewStale, lead_grew_stale
from .models import CLOSED, Lead

#: Leads of one piece, and pieces of one run: what is left over has its turn the next day.
PIECE, MOST_PIECES = 100, 1_000


def remind(pieces: Iterable[object]) -> dict[str, Any]:
    """Mark each open lead with an assignee that was not touched for `STALE_LEAD_DAYS` (0: none), and announce it.

    At most `PIECE` leads for each of the pieces, the longest untouched first. What is done stands in the rows: a run
    that was broken off, or runs twice, tells nothing twice.
    """
    days, number = settings.STALE_LEAD_DAYS, 0
    if not days:
        return {"stale": 0}
    untouched_since = timezone.now() - timedelta(days=days)
    for _piece in pieces:
        ids = list(_due(untouched_since).values_list("pk", flat=True)[:PIECE])
        if not ids:
            break
        number += sum(_mark(lead_id, untouched_since) for lead_id in ids)
    return {"stale": number}


def _due(untouched_since: datetime) -> QuerySet[Lead]:
    """The leads to be marked, in the order of the index `leads_to_remind`, whose conditions these are."""
    rows = Lead.present.filter(assignee__isnull=False, stale_at__isnull=True, touched_at__lt=untouched_since)
    for status in CLOSED:
        rows = rows.exclude(status=status)
    return rows.order_by("touched_at", "pk")


def came_by_import(lead: Lead) -> bool:
    """Whether the lead came in a file and nobody has touched it since: a file of many is not told lead by lead."""
    return lead.imported_in_id is not None and lead.touched_at <= lead.created_at


def _mark(lead_id: UUID, untouched_since: datetime) -> bool:
    with transaction.atomic():
        # again by all conditions: somebody may have touched it meanwhile
        lead = _due(untouched_since).select_for_update().filter(pk=lead_id).first()
        if lead is None:
            return False
        Lead.objects.filter(pk=lead_id).update(stale_at=timezone.now())
        if not came_by_import(lead):
            lead_grew_stale.announce(
                LeadGrewStale(organization_id=lead.organization_id, lead_id=lead_id, assignee_id=lead.assignee_id)
            )
    return True
