"""The row of a queue, under its lock: what people say of it is written there first, and a broker told from there."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.db.models import QuerySet

from ..conf import jobs_settings
from ..models import QueueState
from .commit import with_broker


def queue_rows() -> QuerySet[QueueState]:
    """The rows of all queues."""
    return QueueState.objects.using(jobs_settings().database)


def locked_row(queue: str) -> QueueState:
    """The queue's row, which nobody else changes until the end of the transaction."""
    queue_rows().get_or_create(queue=queue)
    return queue_rows().select_for_update().get(queue=queue)


def tell_from_row(queue: str, tell: Callable[[QueueState], None]) -> None:
    """Let a broker outside the database know what the row says: who tells it last has read what was written last."""

    def tell_now() -> None:
        with transaction.atomic(using=jobs_settings().database):
            tell(locked_row(queue))

    with_broker(tell_now, None)
