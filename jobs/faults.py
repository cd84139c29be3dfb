"""Named points of the engine at which a test may kill, stop or delay the process (tests/faults).

Nothing happens at a point unless `JOBS["FAULT_POINTS"]` names a function of the tests; no variable of a site sets it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .conf import jobs_settings

#: Every point, by the way of a job. "before_commit" lies in the middle of the transaction that it names.
POINTS = (
    "enqueue.before_commit",  # written in the caller's transaction
    "enqueue.after_commit",  # committed, and nobody told: a job with a key is still pending
    "push.before_commit",  # the broker takes jobs outside a caller's transaction, also from the relay
    "push.after_commit",
    "claim.before",
    "claim.before_commit",
    "claim.after_commit",
    "execute.before",  # next is the task's first line
    "execute.after",  # the task's function has returned
    "atomic.after_begin",  # on Redis its marker is inserted
    "atomic.before_settle",
    "atomic.before_commit",
    "atomic.after_commit",
    "settle.before",
    "settle.before_commit",
    "settle.after_commit",
    "release.before_commit",  # the supervisor gives a dead child's jobs back
    "release.after_commit",
    "reap.before_commit",
    "reap.after_commit",
    "relay.before",  # the outbox is read, the broker not yet asked
    "relay.after",
    "unblock.before_commit",  # who waited for an ended job is told; by whoever ended it, or by the keeper
    "unblock.after_commit",  # told, and the broker that is not the rows has not got them
    "recover.before_commit",  # the rows are pending, it is not noted yet that all are
    "merge.before_commit",  # facts are read, the history does not hold them yet
    "merge.after_commit",
    "move.left",  # nothing is claimed in the Redis that is left any more
    "move.before_commit",  # jobs are read there, and no rows of the outbox yet
    "move.after_commit",  # they are both
    "move.opened",
    "tick.before_commit",
    "tick.after_commit",
    "prune.before_commit",
    "prune.after_commit",
    "upkeep.before",
    "upkeep.after",
    "sign.before",
    "sign.after",
)


def point(name: str) -> None:
    """Let a test intervene here."""
    if (strike := _strike()) is not None:
        strike(name)


@cache
def _strike() -> Callable[[str], None] | None:
    path = jobs_settings().fault_points
    if not path:
        return None
    try:
        found: Callable[[str], None] = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"JOBS['FAULT_POINTS']={path!r}: there is no such function") from error
    return found


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "JOBS":
        _strike.cache_clear()


setting_changed.connect(_forget, dispatch_uid="jobs.faults")
