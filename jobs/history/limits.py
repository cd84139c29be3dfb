"""Which limits of a queue hold now, and which of them were set at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from ..broker import get_broker
from ..broker.database.limits import limits_of
from ..broker.standing import Pace
from ..conf import jobs_settings
from ..defined import queues
from ..models import QueueState
from ..policy import AS_IN_CODE, AS_THE_CODE_SAYS, InCode, Limit, QueueLimits, QueuePolicy, RateLimit
from .live import policy_of
from .targets import HasName, name_of

#: What can be set at run time.
NAMES = ("rate_limit", "concurrency", "global_concurrency")


@dataclass(frozen=True)
class HeldLimits:
    """The limits of a queue that hold now; None: it has no such limit.

    `concurrency` is that of each worker process; one that was started with `run_huey --concurrency` goes by that
    number instead, unless it was set at run time. `set_at_run_time` names those that were, and `in_code` says what the
    code has in their place.
    """

    queue: str
    rate_limit: RateLimit | None
    concurrency: int
    global_concurrency: int | None
    set_at_run_time: tuple[str, ...]
    in_code: Mapping[str, RateLimit | int | None]


def limits(queue: HasName | str) -> HeldLimits:
    """Which limits of a queue hold now. Raises `UnknownQueue`, and `InvalidOption` for what is no queue."""
    name = name_of(queue)
    return held_limits(policy_of(name), limits_that_were_set(name))


@dataclass(frozen=True)
class SharedLimit:
    """A limit that tasks share, how many starts of its present period it has granted, and whose it is.

    `frees_at`: when the next may start, by the broker's clock; None: now.
    """

    limit: Limit
    starts: int
    tasks: tuple[str, ...]
    frees_at: datetime | None = None


def shared_limits() -> list[SharedLimit]:
    """The limits that tasks share, by their names. Raises `BrokerAway`."""
    tasks: dict[Limit, list[str]] = {}
    for task in (task for queue in queues().values() for task in queue.tasks.values()):
        for limit in task.limits:
            tasks.setdefault(limit, []).append(task.name)
    found = []
    for limit, names in sorted(tasks.items(), key=lambda one: one[0].name):
        pace = get_broker().pace_of(limit)
        found.append(SharedLimit(limit, pace.taken, tuple(sorted(names)), pace.frees_at))
    return found


@dataclass(frozen=True)
class UsedLimits:
    """What holds for a queue, and what of it is used now.

    `pace`: its rate limit as it stands; None: it has none. `active`: its jobs that run, over all machines.
    """

    held: HeldLimits
    pace: Pace | None
    active: int


def used_limits() -> list[UsedLimits]:
    """The limits of each queue, and what of them is used now. Raises `BrokerAway`."""
    broker, found = get_broker(), []
    for name in queues():
        held = limits(name)
        pace = broker.pace_of_queue(name, held.rate_limit) if held.rate_limit else None
        found.append(UsedLimits(held, pace, broker.counts(name).active))
    return found


def held_limits(policy: QueuePolicy, given: QueueLimits) -> HeldLimits:
    """What holds of a policy where this was set."""
    held = given.over(policy)
    return HeldLimits(
        queue=policy.name,
        rate_limit=held.rate_limit,
        concurrency=held.concurrency,
        global_concurrency=held.global_concurrency,
        set_at_run_time=tuple(name for name in NAMES if getattr(given, name) is not AS_IN_CODE),
        in_code={name: getattr(policy, name) for name in NAMES},
    )


def limits_that_were_set(queue: str) -> QueueLimits:
    """What the queue's row says, which is right for every broker."""
    state = QueueState.objects.using(jobs_settings().database).filter(queue=queue).first()
    return AS_THE_CODE_SAYS if state is None else limits_of_row(state)


def limits_of_row(state: QueueState) -> QueueLimits:
    """What was set of the limits of this queue."""
    return limits_of((state.rate_limit, state.rate_per, state.concurrency, state.global_concurrency))


def text_of_limit(value: object) -> str:
    """A limit as people read and write it: 10/1, 5, none, code."""
    if isinstance(value, RateLimit):
        return f"{value.limit}/{value.per:.15g}"
    if isinstance(value, InCode):
        return _("as in the code")
    return _("none") if value is None else str(value)
