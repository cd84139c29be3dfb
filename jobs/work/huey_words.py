"""What a job means in Huey's words: who gets its object, and when its own errors ask for another start."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone
from huey.exceptions import RetryTask

from ..define.queue import Queue
from ..define.task import Task
from ..policy import ONE_YEAR


def is_seen(queue: Queue, task: Task) -> bool:
    """Whether anybody gets Huey's own object for a job: a hook, a receiver of its signals, or the task."""
    hooks = queue._pre_execute or queue._post_execute
    return bool(hooks or task.task_class.context or any(queue._signal.receivers.values()))


def huey_delay(error: RetryTask, now: datetime) -> float:
    """Huey's `eta` (naive: local, so in Django's `TIME_ZONE`) or `delay`, within what `RetryLater` takes."""
    if error.eta is not None:
        eta = error.eta if error.eta.tzinfo else timezone.make_aware(error.eta, timezone.get_default_timezone())
        seconds = (eta - now).total_seconds()
    else:
        delay = error.delay or 0.0
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    return min(max(seconds, 0.0), ONE_YEAR)
