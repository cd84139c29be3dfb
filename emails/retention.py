"""How long the content of a mail is kept. Its row stays: that it went out, and when, also keeps it from going again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from leads.models import EffectState

from .models import EmailMessage

#: Mails of one piece, and pieces of one run: what is left over has its turn the next night.
PIECE, MOST_PIECES = 500, 2_000
#: What failed, or is unclear, waits for a person.
_ENDED = (EffectState.SENT, EffectState.RECORDED, EffectState.REFUSED, EffectState.SKIPPED)


def empty_mails(pieces: Iterable[object]) -> dict[str, Any]:
    """Remove the content of mails that ended more than `MAIL_KEEP_DAYS` ago (0: of none).

    Subject, text, parameters and what was said of it go; so does an address that is neither a lead's nor a user's. At
    most `PIECE` mails for each of the pieces, the oldest first, in one transaction each.
    """
    days, number = settings.MAIL_KEEP_DAYS, 0
    if not days:
        return {"emptied": 0}
    before = timezone.now() - timedelta(days=days)
    for _piece in pieces:
        emptied = _empty(before)
        if not emptied:
            break
        number += emptied
    return {"emptied": number}


def _due(before: datetime) -> QuerySet[EmailMessage]:
    rows = EmailMessage.objects.filter(emptied_at__isnull=True, state__in=_ENDED, created_at__lt=before)
    # it may have been sent again
    return rows.filter(Q(sent_at__isnull=True) | Q(sent_at__lt=before)).order_by("created_at", "pk")


def _empty(before: datetime) -> int:
    with transaction.atomic():
        ids = list(_due(before).select_for_update().values_list("pk", flat=True)[:PIECE])
        rows = EmailMessage.objects.filter(pk__in=ids)
        rows.filter(lead__isnull=True, recipient__isnull=True).update(to="")
        gone = {"params": {}, "subject": "", "text": "", "html": "", "delivery_detail": ""}
        return EmailMessage.withdraw(rows, emptied_at=timezone.now(), **gone)
