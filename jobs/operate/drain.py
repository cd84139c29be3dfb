"""Drain: what waits on a queue is cancelled.

In chunks of one short transaction each, so that no worker waits for long; what is done stays done if it is broken off.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q, QuerySet
from django.utils.translation import ngettext

from .. import reasons
from ..broker import get_broker
from ..errors import InvalidOption
from ..history import live, lookup
from ..history.targets import HasName, name_of, task_name_of
from ..models import Job, QueueState
from ..states import Shown, State
from .audit import note
from .clean import CHUNK, check_age, check_limit

ALL_QUEUED = "all-queued"
#: What of a queue can be drained: shown states of jobs that have not started, or all of them.
DRAINED = (Shown.WAITING.value, Shown.SCHEDULED.value, Shown.RETRYING.value, ALL_QUEUED)


def drain(
    queue: HasName | str,
    state: str = Shown.WAITING.value,
    *,
    task: HasName | str = "",
    older_than: timedelta | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    by: AbstractBaseUser | None = None,
) -> int:
    """Cancel the queue's jobs that wait in `state`; returns how many. What runs, goes on.

    `state` is `waiting`, `scheduled`, `retrying` or `all-queued`. Only jobs that are there now, of the `task` (or its
    name) where one is given, created at least `older_than` ago; oldest first, at most `limit`. `dry_run` counts and
    changes nothing. Raises `UnknownQueue`, `UnknownTask`, and `InvalidOption` for a wrong value.
    """
    name, now = name_of(queue), get_broker().now()
    check_limit(limit)
    if older_than is not None:
        check_age(older_than)
    condition = _waits_as(state, now) & (Q(task=task_name_of(task, name)) if task != "" else Q())
    live.hear([name])
    drained = 0
    parts = (Q(),) if older_than is None else lookup.ranges_before(now - older_than)
    # one stored state and one range of ids at a time: each is walked in the order of its index
    for stored, part in product((State.PENDING, State.QUEUED), parts):
        rows = lookup.all_jobs().filter(part, queue=name, state=stored)
        left = None if limit is None else limit - drained
        if left != 0:
            drained += rows.filter(condition)[:left].count() if dry_run else _cancel(name, rows, condition, left)
    if drained and not dry_run:
        text = ngettext("Drained: %(count)d job cancelled.", "Drained: %(count)d jobs cancelled.", drained)
        note(by, QueueState(queue=name), text % {"count": drained})
    return drained


def _cancel(queue: str, rows: QuerySet[Job], condition: Q, limit: int | None) -> int:
    # up to the newest: a queue that is filled faster than it is drained must not keep this going
    newest = rows.order_by("-pk").values_list("pk", flat=True).first()
    if newest is None:
        return 0
    waiting = rows.filter(condition, pk__lte=newest).order_by("pk").values_list("pk", flat=True)
    cancelled, chosen = 0, waiting
    while limit is None or cancelled < limit:
        ids = list(chosen[: CHUNK if limit is None else min(CHUNK, limit - cancelled)])
        if not ids:
            break
        cancelled += len(get_broker().cancel_waiting(queue, ids, reasons.DRAINED))
        chosen = waiting.filter(pk__gt=ids[-1])
    return cancelled


def _waits_as(state: str, now: datetime) -> Q:
    conditions = {
        Shown.WAITING.value: Q(attempts=0, ready_at__lte=now),
        Shown.SCHEDULED.value: Q(attempts=0, ready_at__gt=now),
        Shown.RETRYING.value: Q(attempts__gt=0),
        ALL_QUEUED: Q(),
    }
    if state not in DRAINED:
        raise InvalidOption(f"state {state!r}: what can be drained is: {', '.join(DRAINED)}")
    return conditions[state]
