"""How long what came in is kept beside the lead that was made of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from .models import UNDER_WAY, ImportPiece, ImportState, LeadImport, Submission
from .models.submission import OPEN, SubmissionState

#: A file that nobody starts is not kept longer.
DRAFTS_KEPT = timedelta(days=1)
#: Rows of one piece, and pieces of one run: what is left over has its turn the next night.
PIECE, MOST_PIECES = 1_000, 1_000
FILES = 100


def forget_submissions(pieces: Iterable[object]) -> dict[str, Any]:
    """Delete the submissions older than `SUBMISSION_KEEP_DAYS` (0: none); what waits to become a lead stays.

    At most `PIECE` for each of the pieces, in one statement.
    """
    days, forgotten = settings.SUBMISSION_KEEP_DAYS, 0
    if not days:
        return {"forgotten": 0}
    ended = [state for state in SubmissionState if state not in OPEN]
    old = Submission.objects.filter(state__in=ended, received_at__lt=timezone.now() - timedelta(days=days))
    for _piece in pieces:
        ids = list(old.values_list("pk", flat=True)[:PIECE])
        if not ids:
            break
        # again by state: a person may have had one processed again meanwhile
        forgotten += old.filter(pk__in=ids).delete()[0]
    return {"forgotten": forgotten}


def forget_imports(pieces: Iterable[object]) -> dict[str, Any]:
    """Remove files that were never started, after a day, and the rows of those that ended `IMPORT_KEEP_DAYS` ago.

    At most a hundred files for each of the pieces. What became of a file stays: its name, its counts, who brought it.
    """
    now, drafts, emptied = timezone.now(), 0, 0
    ended = LeadImport.objects.exclude(state__in=[ImportState.DRAFT, *UNDER_WAY])
    old = ended.filter(ended_at__lt=now - timedelta(days=settings.IMPORT_KEEP_DAYS))
    kept = ImportPiece.objects.filter(lead_import=OuterRef("pk"))
    for _piece in pieces:
        left = LeadImport.objects.filter(state=ImportState.DRAFT, created_at__lt=now - DRAFTS_KEPT)
        ids = list(left.values_list("pk", flat=True)[:FILES])
        # again by state: somebody may have started one meanwhile
        drafts += left.filter(pk__in=ids).delete()[1].get(LeadImport._meta.label, 0)
        done = list(old.filter(Exists(kept)).values_list("pk", flat=True)[:FILES])
        ImportPiece.objects.filter(lead_import__in=done).delete()
        LeadImport.objects.filter(pk__in=done, state=ImportState.FAILED).update(state=ImportState.CANCELLED)
        emptied += len(done)
        if not ids and not done:
            break
    return {"drafts": drafts, "emptied": emptied}
