"""The queues and tasks that are defined, for rooms below the one in which they are."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.translation import gettext as _

from .causes import told
from .conf import jobs_settings
from .errors import UnknownQueue, UnknownTask
from .policy import QueuePolicy

if TYPE_CHECKING:
    from .define.queue import Queue
    from .define.task import Task


def register(queue: Queue) -> None:
    """Make a queue known by its name: one that no module of the settings defines is found as well."""
    _made[queue.name] = queue


def queues() -> dict[str, Queue]:
    """The queues of the module that `JOBS["QUEUES"]` names, by name; raises `ImproperlyConfigured`."""
    return _queues_of(jobs_settings().queues)


def find_queue(name: str) -> Queue:
    """The queue of this name; raises `UnknownQueue` that names the known ones."""
    known = queues()
    queue = known.get(name) or _made.get(name)
    if queue is None:
        text = _("queue %(name)s is not defined; queues are: %(known)s")
        raise UnknownQueue(text % {"name": repr(name), "known": ", ".join(sorted(known))})
    return queue


def find_task(name: str) -> Task:
    """The task of this name on any queue; raises `UnknownTask` that names the known ones."""
    for queue in queues().values():
        task = queue.find_own_task(name)
        if task is not None:
            return task
    found = find_elsewhere(name)
    if found is not None:
        return found
    known = sorted(task for queue in queues().values() for task in queue.tasks)
    text = _("task %(name)s is not defined; tasks are: %(known)s")
    raise UnknownTask(text % {"name": repr(name), "known": ", ".join(known)})


#: Who knows tasks that nobody registered on a queue: answers the one of a name for a queue, or for whichever it names.
finders: list[Callable[[str, Queue | None], Task | None]] = []


def find_elsewhere(name: str, queue: Queue | None = None) -> Task | None:
    """The task of this name that no queue has registered; None if there is none."""
    for find in finders:
        if (task := find(name, queue)) is not None:
            return task
    return None


#: every queue that exists, so that one made in a test is found too
_made: weakref.WeakValueDictionary[str, Queue] = weakref.WeakValueDictionary()


@cache
def _queues_of(module_name: str) -> dict[str, Queue]:
    try:
        module = import_module(module_name)
    except Exception as error:
        why = f"cannot be imported: {told(error)}"
        if isinstance(error, ModuleNotFoundError) and error.name and module_name.startswith(error.name):
            why = "there is no such module; name the one that defines your queues"
        raise ImproperlyConfigured(f"JOBS['QUEUES']={module_name!r}: {why}") from error
    found: dict[str, Queue] = {}
    for value in vars(module).values():
        if _is_queue(value) and found.setdefault(value.name, value) is not value:
            raise ImproperlyConfigured(f"{module_name} defines two queues named {value.name!r}; rename one")
    if not found:
        raise ImproperlyConfigured(f"{module_name} defines no queue: write for example email = Queue('email')")
    return found


def _is_queue(value: object) -> bool:
    """A task has a policy as well, and may stand beside its queue."""
    return isinstance(getattr(value, "policy", None), QueuePolicy) and hasattr(value, "tasks")


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "JOBS":
        _queues_of.cache_clear()


setting_changed.connect(_forget, dispatch_uid="jobs.defined")
