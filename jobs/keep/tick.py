"""Duty: enqueue the periodic tasks that are due, each tick once over all keepers (G8).

One transaction moves the schedule's last tick forward and inserts the job: of any number of keepers only one finds
the row older than the tick. After a time without keepers the newest missed tick fires, once.

A clock that was ahead leaves a last tick that is yet to come. The schedule then returns to the last tick before the
clock ran ahead, and what has fired in between does not fire again when its time comes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..define.task import Task
from ..defined import queues
from ..faults import point
from ..history.jumps import note_jump
from ..models import Schedule

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs.
INTERVAL = 1.0
MINUTE = timedelta(minutes=1)
#: How far back a missed tick is looked for.
LOOK_BACK = timedelta(hours=24)

#: Per task: up to which minute this process has looked.
_looked_until: dict[str, datetime] = {}


def run() -> int:
    """Fire what is due at this minute; returns how many jobs were enqueued."""
    if not any(queue.periodic_tasks for queue in queues().values()):
        return 0
    minute = get_broker().now().replace(second=0, microsecond=0)
    fired = 0
    failure: Exception | None = None
    for queue in queues().values():
        for name, task, is_due in queue.periodic_tasks:
            try:
                fired += _look(name, task, is_due, minute)
            except Schedule.DoesNotExist:  # somebody removed its row: it begins anew
                _looked_until.pop(name, None)
            except Exception as error:  # one wrong schedule must not stop the others
                failure = failure or error
    if failure is not None:
        raise failure
    return fired


def forget() -> None:
    """Forget how far this process has looked; the next run reads the database again."""
    _looked_until.clear()


def _look(name: str, task: Task, is_due: Callable[[datetime], bool], minute: datetime) -> bool:
    since = _looked_until.get(name)
    if since is None or since > minute:
        since = _last_tick(name, minute)
    due = _due_since(is_due, since, minute)
    newest = next(due, None)
    fired = newest is not None and _fire(name, task, newest, in_turn=next(due, None) is None)
    _looked_until[name] = max(minute, since)
    return fired


def _last_tick(name: str, minute: datetime) -> datetime:
    """The last tick of the schedule; a schedule that is new begins with the next minute."""
    schedules = Schedule.objects.using(jobs_settings().database)
    schedule, _ = schedules.get_or_create(task=name, defaults={"last_tick": minute})
    return schedule.last_tick if schedule.last_tick <= minute else _return_to_before(name, minute)


def _return_to_before(name: str, minute: datetime) -> datetime:
    """The clock was ahead, or was set back: forget the ticks to come, which have fired; returns the last one left."""
    with _locked(name) as schedule:
        last = schedule.last_tick
        if last <= minute:
            return last
        if schedule.run_from is None or schedule.run_from > minute:
            schedule.skip_from = schedule.run_from or last
            schedule.last_tick = min(schedule.run_after or minute, minute)
        else:
            # they began to fire before this minute: all up to it have
            schedule.skip_from = max(minute + MINUTE, last - LOOK_BACK)
            schedule.last_tick = minute
        schedule.skip_until, schedule.run_from, schedule.run_after = last, None, None
        schedule.save()
    now = get_broker().now()
    note_jump(now, max(0.0, (last - now).total_seconds()))
    logger.warning("schedule_was_ahead task=%s last_tick=%s", name, f"{last:%Y-%m-%dT%H:%MZ}")
    return schedule.last_tick


@contextmanager
def _locked(name: str) -> Iterator[Schedule]:
    alias = jobs_settings().database
    with transaction.atomic(using=alias, durable=True):
        yield Schedule.objects.using(alias).select_for_update().get(task=name)


def _due_since(is_due: Callable[[datetime], bool], since: datetime, minute: datetime) -> Iterator[datetime]:
    """The due minutes since then, the newest first."""
    oldest = max(since, minute - LOOK_BACK)
    while minute > oldest:
        # Huey's crontab asks for naive UTC
        if is_due(minute.replace(tzinfo=None)):
            yield minute
        minute -= MINUTE


def _fire(name: str, task: Task, minute: datetime, *, in_turn: bool = True) -> bool:
    """Fire this tick, unless a keeper has; `in_turn`: none was missed before it."""
    with _locked(name) as schedule:
        if schedule.last_tick >= minute:
            return False
        if not in_turn or schedule.run_from is None:
            schedule.run_from, schedule.run_after = minute, schedule.last_tick
        schedule.last_tick = minute
        schedule.save()
        if schedule.skip_from and schedule.skip_until and schedule.skip_from <= minute <= schedule.skip_until:
            return False
        handle = task.enqueue()
        point("tick.before_commit")
    point("tick.after_commit")
    late = (clock.now() - minute).total_seconds()
    logger.info("ticked task=%s minute=%s late=%.1fs job=%s", name, f"{minute:%Y-%m-%dT%H:%MZ}", late, handle.id)
    return True
