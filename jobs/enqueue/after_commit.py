"""What is done once the caller's transaction has committed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..faults import point
from .outbox import is_away, push_pending

logger = logging.getLogger("jobs.accept")


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether what is written now becomes visible only later: in `atomic()`, or with autocommit off."""
    if connection.connection is None:  # asking would connect
        return connection.in_atomic_block or not connection.settings_dict["AUTOCOMMIT"]
    return connection.in_atomic_block or not connection.get_autocommit()


def push_after_commit(connection: BaseDatabaseWrapper, pending: Sequence[UUID]) -> None:
    """Give these rows in state `pending` to the broker once the open transaction has committed."""
    # with autocommit off Django knows no commit to hook on to: the keeper's relay takes these
    if connection.in_atomic_block:
        ids: set[UUID] = of_transaction(connection, "_esteira_pending")
        ids.update(pending)
        transaction.on_commit(partial(_push_committed, ids), using=connection.alias, robust=True)


def of_transaction(connection: BaseDatabaseWrapper, name: str) -> set[Any]:
    """A set of the open transaction's own: what many calls note in it, the hook of the first one does for all."""
    outermost = connection.atomic_blocks[0]
    found: set[Any]
    known, found = connection.__dict__.get(name, (None, set()))
    if known is not outermost:
        found = set()
        connection.__dict__[name] = outermost, found
    return found


def _push_committed(committed: set[UUID]) -> None:
    point("enqueue.after_commit")
    ids = sorted(committed)
    committed.clear()
    if not ids or is_away():
        return
    try:
        push_pending(ids)
    except Exception:
        logger.warning("push_after_commit_failed jobs=%d: the keeper relays them", len(ids), exc_info=True)
