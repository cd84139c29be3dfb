"""Duty: enqueue the periodic tasks that are due, each tick once over all keepers (G8).

One transaction moves the schedule's last tick forward and inserts the job: of any number of keepers only one finds
the row older than the tick. After a time without keepers the newest missed tick fires, once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..define.task import Task
from ..defined import queues
from ..faults import point
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
    if since is None:
        since = _last_tick(name, minute)
    newest = _newest_due(is_due, since, minute)
    fired = newest is not None and _fire(name, task, newest)
    _looked_until[name] = max(minute, since)
    return fired


def _last_tick(name: str, minute: datetime) -> datetime:
    """The last tick of the schedule; a schedule that is new begins with the next minute."""
    schedules = Schedule.objects.using(jobs_settings().database)
    schedule, _ = schedules.get_or_create(task=name, defaults={"last_tick": minute})
    return schedule.last_tick


def _newest_due(is_due: Callable[[datetime], bool], since: datetime, minute: datetime) -> datetime | None:
    oldest = max(since, minute - LOOK_BACK)
    while minute > oldest:
        # Huey's crontab asks for naive UTC
        if is_due(minute.replace(tzinfo=None)):
            return minute
        minute -= MINUTE
    return None


def _fire(name: str, task: Task, minute: datetime) -> bool:
    alias = jobs_settings().database
    with transaction.atomic(using=alias, durable=True):
        if not Schedule.objects.using(alias).filter(task=name, last_tick__lt=minute).update(last_tick=minute):
            return False
        handle = task.enqueue()
        point("tick.before_commit")
    point("tick.after_commit")
    late = (clock.now() - minute).total_seconds()
    logger.info("ticked task=%s minute=%s late=%.1fs job=%s", name, f"{minute:%Y-%m-%dT%H:%MZ}", late, handle.id)
    return True
