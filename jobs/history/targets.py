"""What a caller means: a job by its handle, row or id, a queue by its name or itself."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from ..defined import find_queue, find_task
from ..errors import InvalidOption, UnknownQueue
from . import lookup


class HasId(Protocol):
    """A JobHandle, a job's row, or `current_job()`."""

    @property
    def id(self) -> UUID:
        """The job's id."""


class HasName(Protocol):
    """A Queue or a task."""

    @property
    def name(self) -> str:
        """The name it is known by."""


def id_of(job: HasId | UUID | str) -> UUID:
    """The id of the job that is meant; raises `InvalidOption`."""
    found = getattr(job, "id", job)
    if isinstance(found, str):
        try:
            return UUID(found)
        except ValueError:
            pass
    if isinstance(found, UUID):
        return found
    raise InvalidOption(f"job {job!r}: expected a JobHandle, or a job's id (a UUID or its text)")


def task_name_of(task: HasName | str) -> str:
    """The name of the task that is meant; raises `InvalidOption`, and `UnknownTask` for a name that no code defines."""
    name = getattr(task, "name", task)
    if not isinstance(name, str):
        raise InvalidOption(f"task {task!r}: expected a task or its name")
    return name if name is not task else find_task(name).name


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
