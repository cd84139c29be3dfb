"""The jobs of an import: a piece at a time, and the end. What a killed worker had not committed is done again, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from ..events import LeadsImported, leads_imported
from ..models import UNDER_WAY, ImportPiece, ImportState, LeadImport, packed, unpacked
from .rows import RowReader
from .writing import write_rows, wrong_of

Outcome = dict[str, Any]
COUNTS = ("created", "updated", "skipped", "wrong")
#: So often a piece is done anew at once where somebody else adds one of its addresses meanwhile.
_TRIES = 3


def run_piece(piece_id: UUID, organization_id: UUID, *, enrich: Callable[[Sequence[UUID], UUID, str], None]) -> Outcome:
    """Make leads of a piece's rows; nothing if that was done, or the import was cancelled.

    The leads, the counts and the mark that says so commit together: a second run finds the mark. Raises
    `ImportPiece.DoesNotExist` also for a piece of another organization: a job may be enqueued by hand.
    """
    pieces = ImportPiece.objects.select_related("lead_import__organization", "lead_import__created_by")
    piece = pieces.get(pk=piece_id, lead_import__organization_id=organization_id)
    if piece.done_at is not None or piece.content is None:
        return {"outcome": "done already"}
    lead_import = piece.lead_import
    # checked before the transaction: what takes long holds no lock
    rows = RowReader(lead_import).read_all(unpacked(piece.content))
    for tried in range(1, _TRIES + 1):
        try:
            with transaction.atomic():
                now = ImportPiece.objects.select_for_update(of=("self",)).select_related("lead_import").get(pk=piece_id)
                if now.done_at is not None:
                    return {"outcome": "done already"}
                if now.lead_import.state != ImportState.RUNNING:
                    return {"outcome": "cancelled"}
                if now.content != piece.content:
                    # somebody in it was erased meanwhile
                    rows = RowReader(lead_import).read_all(unpacked(now.content))
                outcome = write_rows(lead_import, rows)
                outcome.counts["skipped"] += now.erased
                wrong = wrong_of(rows)
                for name, number in outcome.counts.items():
                    setattr(now, name, number)
                now.done_at, now.content, now.wrong_rows = timezone.now(), None, packed(wrong) if wrong else None
                now.save(update_fields=[*COUNTS, "done_at", "content", "wrong_rows"])
                if lead_import.enrich:
                    enrich([lead.pk for lead in outcome.created], lead_import.organization_id, lead_import.tag)
        except IntegrityError:
            if tried == _TRIES:
                raise
        else:
            break
    return {"outcome": "imported", **outcome.counts}


def finish(import_id: UUID, organization_id: UUID) -> Outcome:
    """Note how the import has ended, and announce it; nothing if that was done."""
    with transaction.atomic():
        rows = LeadImport.objects.select_for_update().filter(pk=import_id, organization_id=organization_id)
        lead_import = rows.first()
        if lead_import is None or lead_import.state not in UNDER_WAY:
            return {"outcome": "ended already"}
        open_pieces = ImportPiece.objects.filter(lead_import=lead_import, done_at__isnull=True)
        if not open_pieces.exists():
            lead_import.state = ImportState.DONE
        elif lead_import.state == ImportState.CANCELLING:
            lead_import.state = ImportState.CANCELLED
            # the rest is not done: nobody needs these rows any more
            open_pieces.update(content=None)
        else:
            lead_import.state = ImportState.FAILED
        for name, number in counts_of(lead_import).items():
            setattr(lead_import, name, number)
        lead_import.ended_at = timezone.now()
        lead_import.save(update_fields=[*COUNTS, "state", "ended_at"])
        leads_imported.announce(LeadsImported(organization_id=lead_import.organization_id, import_id=import_id))
    return {"outcome": lead_import.state}


def counts_of(lead_import: LeadImport) -> dict[str, int]:
    """What has become of the rows so far."""
    sums = ImportPiece.objects.filter(lead_import=lead_import).aggregate(**{name: Sum(name) for name in COUNTS})
    return {name: number or 0 for name, number in sums.items()}
