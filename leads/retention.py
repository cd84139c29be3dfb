"""How long what came in is kept beside the lead that was made of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from .models import Submission
from .models.submission import OPEN, SubmissionState

#: Rows of one statement, and statements of one run: what is left over has its turn the next night.
CHUNK, MOST_CHUNKS = 1_000, 100


def forget_submissions() -> dict[str, Any]:
    """Delete the submissions older than `SUBMISSION_KEEP_DAYS` (0: none); what waits to become a lead stays."""
    days, forgotten = settings.SUBMISSION_KEEP_DAYS, 0
    if not days:
        return {"forgotten": 0}
    ended = [state for state in SubmissionState if state not in OPEN]
    old = Submission.objects.filter(state__in=ended, received_at__lt=timezone.now() - timedelta(days=days))
    for _chunk in range(MOST_CHUNKS):
        ids = list(old.values_list("pk", flat=True)[:CHUNK])
        if not ids:
            break
        # again by state: a person may have had one processed again meanwhile
        forgotten += old.filter(pk__in=ids).delete()[0]
    return {"forgotten": forgotten}
