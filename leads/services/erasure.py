"""Erase one person's data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs import Erased, Subject, erase_jobs

from ..changes import record
from ..erasing import erase_marked
from ..models import Activity, Lead
from ..tasks import erase_later, finish_erasure


def erase_lead(lead_id: UUID, *, actor: AbstractBaseUser | None = None, mentions: Sequence[str] = ()) -> Erased:
    """Erase the lead's personal data from all rows and jobs; raises `Lead.DoesNotExist`. A repetition is harmless.

    `mentions`: further texts that jobs may hold, see `jobs.erase_jobs`.

    First, in one transaction, the lead is marked, which makes every job and service treat it as gone, and a job is
    enqueued that finishes what is left: jobs that still run, or all of it if this process dies.
    """
    with transaction.atomic():
        lead = Lead.objects.select_for_update().get(pk=lead_id)
        if lead.erased_at is None:
            # without its key the address is free: the person may come again, as somebody new
            Lead.objects.filter(pk=lead_id).update(
                erased_at=timezone.now(), email_key=None, version=F("version") + 1, updated_at=timezone.now()
            )
            record(lead, Activity.Kind.ERASED, actor=actor)
        erase_later(lead_id)
    return erase_marked(lead_id, partial(erase_later, lead_id), spare=[finish_erasure.name], mentions=mentions)


def erase_lead_by_key(key: str, mentions: Sequence[str]) -> Erased:
    """`erase_lead` for the command line; of a lead that was deleted, what its jobs still hold."""
    try:
        return erase_lead(UUID(key), mentions=mentions)
    except Lead.DoesNotExist:
        return erase_jobs([Subject(Lead._meta.label_lower, key)], mentions)
