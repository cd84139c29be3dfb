"""What a caller means: a queue or a task, by its name or itself."""

from __future__ import annotations

from typing import Protocol

from ..define.reference import is_storable
from ..defined import find_queue, find_task
from ..errors import InvalidOption, UnknownQueue, UnknownTask
from . import lookup

#: What the column of a task's name holds.
LONGEST_TASK = 200


class HasName(Protocol):
    """A Queue or a task."""

    @property
    def name(self) -> str:
        """The name it is known by."""


def task_name_of(task: HasName | str, queue: str) -> str:
    """The name of the task that is meant, of this queue or another; raises `InvalidOption`.

    Also `UnknownTask`, unless the task is defined or has jobs.
    """
    name = getattr(task, "name", task)
    if not isinstance(name, str) or not is_storable(name, LONGEST_TASK):
        raise InvalidOption(f"task {task!r}: expected a task or its name")
    if name is not task:
        return name
    try:
        return (find_queue(queue).find_task(name) or find_task(name)).name
    except UnknownQueue:
        return name
    except UnknownTask:
        # one that no code defines any more may still have jobs, and they want to be taken away
        if not lookup.all_jobs().filter(task=name).exists():
            raise
    return name


def name_of(queue: HasName | str) -> str:
    """The name of the queue that is meant; raises `InvalidOption`.

    Also `UnknownQueue`, unless the queue is defined or holds jobs.
    """
    name = getattr(queue, "name", queue)
    if not isinstance(name, str):
        raise InvalidOption(f"queue {queue!r}: expected a Queue or its name")
    try:
        find_queue(name)
    except UnknownQueue:
        # one that no code defines any more may still hold jobs
        if name not in lookup.queues_with_jobs():
            raise
    return name
