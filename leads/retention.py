"""How long what came in is kept beside the lead that was made of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from .models import Submission
from .models.submission import OPEN, SubmissionState

#: Rows of one piece, and pieces of one run: what is left over has its turn the next night.
PIECE, MOST_PIECES = 1_000, 1_000


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
