"""Retry a cause: its dead letters begin their next run, at a pace if one is given.

The pace is in their due times: nothing has to run on until the last one is due. How far they are spread is written down
in the transaction that retries them, so that two who do the same keep one pace together, and who was broken off goes on
behind it. What was retried is no dead letter any more: the same call again does not retry it twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import clock
from ..broker import get_broker
from ..broker.database import pending, rows
from ..conf import jobs_settings
from ..enqueue.after_commit import in_transaction
from ..errors import InvalidOption
from ..history import causes
from ..models import Cause, Job
from ..policy import ONE_YEAR, RateLimit
from ..states import State
from .audit import note, note_each
from .begin_again import begin_again, wait_again
from .clean import check_limit
from .commit import after_commit
from .retry import push

#: Jobs of one transaction, and of one call to the broker.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class RetriedCause:
    """What became of a cause's dead letters.

    `retried`: how many begin their next run, `refused` those of them whose key another live job holds and that are dead
    letters again; the last one is due at `until`; `more`: some are left, as the limit or the time was reached.
    """

    retried: int = 0
    refused: int = 0
    until: datetime | None = None
    more: bool = False


def retry_cause(
    cause: str,
    *,
    pace: RateLimit | None = None,
    before: datetime | None = None,
    limit: int | None = None,
    by: AbstractBaseUser | None = None,
    scopes: Sequence[str] | None = None,
    longest: float = math.inf,
) -> RetriedCause:
    """Retry the dead letters of a cause, those first that failed first; with `pace` spread evenly over time.

    Only those that failed `before` then (default: before now), at most `limit`, of these `scopes`; after `longest`
    seconds it begins no further chunk. Raises `UnknownCause`, and `InvalidOption` for a wrong value.
    """
    check_limit(limit)
    if pace is not None and not isinstance(pace, RateLimit):
        raise InvalidOption(f"pace={pace!r}: expected a RateLimit, like RateLimit(10, per=1)")
    known = causes.check(cause)
    # what fails from now on, a refused retry too, is not retried again
    dead = causes.of_cause(cause, scopes).filter(ended_at__lte=before or get_broker().now())
    until, end = None, clock.monotonic() + longest
    retried: list[UUID] = []
    refused = 0
    while limit is None or len(retried) < limit:
        some, others, due = _retry_some(
            known, dead, CHUNK if limit is None else min(CHUNK, limit - len(retried)), pace, by
        )
        if not some:
            break
        refused += _push([*some, *others])
        retried += some
        until = due
        if clock.monotonic() >= end:
            break
    if retried:
        text = ngettext("Retried: %(count)d job.", "Retried: %(count)d jobs.", len(retried))
        note(by, Cause(id=cause, task=known.task), text % {"count": len(retried)})
    return RetriedCause(len(retried), refused, until, dead.exists())


def _retry_some(
    known: causes.Known, dead: QuerySet[Job], most: int, pace: RateLimit | None, by: AbstractBaseUser | None
) -> tuple[list[UUID], list[UUID], datetime | None]:
    """Retry a chunk in a transaction of its own; returns which, what begins again before them, when the last is due."""
    connection = connections[jobs_settings().database]
    with rows.block(connection):
        # the cause's row is the lock: who does the same at this moment goes on behind what is chosen here
        paced_until = causes.lock(known)
        now = get_broker().now()
        first = max(now, paced_until) if paced_until and pace else now
        apart = timedelta(seconds=pace.per / pace.limit) if pace else timedelta(0)
        ids = list(dead.order_by("ended_at", "id").values_list("pk", flat=True)[:most])
        due = [first + apart * place for place in range(len(ids))]
        if due and (due[-1] - now).total_seconds() > ONE_YEAR:
            raise InvalidOption(_("at this pace the last one would be due in more than a year; give a faster one"))
        runs: dict[UUID, int] = {}
        # those that never ran since others failed wait for these again, those of a sequence for their turn; no pace
        for id in wait_again(connection, ids):
            runs |= begin_again(connection, id)
        delays = [(id, (moment - now).total_seconds()) for id, moment in zip(ids, due, strict=True) if id not in runs]
        runs |= pending.start_next_runs(connection, delays)
        if ids and pace:
            causes.note_pace(known, first + apart * len(ids))
        some = [id for id in ids if id in runs]
        note_each(by, [Job(pk=id, task=known.task) for id in some], _("Retried with its cause: the next run begins."))
        others = sorted(runs.keys() - set(some))
    return some, others, due[-1] if due else None


def _push(ids: Sequence[UUID]) -> int:
    """Give them to the broker; returns how many were refused, as another live job holds their key."""
    connection = connections[jobs_settings().database]
    if in_transaction(connection):
        if connection.in_atomic_block:
            after_commit(partial(push, ids))
        return 0
    push(ids)
    return (
        Job.objects.using(connection.alias).filter(pk__in=ids, state=State.FAILED, starts=0).exclude(reason="").count()
    )
