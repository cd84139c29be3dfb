"""Which function a job's name stands for: workers find those of `@task` by their dotted paths."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from threading import RLock
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from .. import defined
from ..define.queue import Queue
from ..errors import UnknownQueue
from .framework import FrameworkTask, InvalidTask, task_backends
from .running import FunctionTask
from .task import POLICY

logger = logging.getLogger("jobs.django_tasks")


@runtime_checkable
class Home(Protocol):
    """A backend of ours: `policy` is what its OPTIONS give to tasks that say nothing, `modules` where functions are."""

    alias: str
    policy: Mapping[str, Any]
    modules: Sequence[str]


def path_of(task: Any) -> str:
    """The name of a task's jobs: the dotted path of its function."""
    return f"{task.func.__module__}.{task.func.__qualname__}"


def task_to_enqueue(task: Any, home: Home) -> FunctionTask:
    """The task of the engine for a call of `task`; raises `InvalidTask` where no worker would find its function."""
    path = path_of(task)
    if not _is_allowed(path, home):
        raise InvalidTask(
            f"Task {path} stands in no installed app, where workers look for it: move it to one, or name its module "
            f"in TASKS[{home.alias!r}]['OPTIONS']['modules']."
        )
    found = named(path)
    if found is None or found.func is not task.func:
        raise InvalidTask(
            f"Workers look for a Task's function as {path}, and there is another thing, or none: keep what @task makes "
            "of a function under the function's own name."
        )
    return _task_on(queue_of(task), path, found, home)


def queue_of(task: Any) -> Queue:
    """The queue that a task names; raises `InvalidTask` that names the project's queues."""
    try:
        return defined.find_queue(task.queue_name)
    except UnknownQueue as error:
        raise InvalidTask(f"Queue '{task.queue_name}' is not valid for backend: {error}.") from None


def find(name: str, queue: Queue | None) -> FunctionTask | None:
    """The task of this name for a queue, or for the one that its function names; None: there is no such function.

    What a name can make a worker import lies below an installed app, or in what OPTIONS name.
    """
    home = next((one for one in _homes() if _is_allowed(name, one)), None)
    if home is None or (found := named(name)) is None:
        return None
    for one in _homes():
        if one.alias == found.backend:
            home = one
    try:
        return _task_on(queue or defined.find_queue(found.queue_name), name, found, home)
    except UnknownQueue:
        return None


def named(path: str) -> Any:
    """What `@task` made of the function of this path; None if there is no such thing."""
    module_name, _dot, name = path.rpartition(".")
    try:
        found = getattr(import_module(module_name), name, None)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{module_name}.".startswith(f"{missing}."):
            logger.exception("task_module_broken module=%s", module_name)
        return None
    return found if isinstance(found, FrameworkTask) and path_of(found) == path else None


_lock = RLock()
#: by queue and name: the function's task, what `@task` had made of it, and the OPTIONS that it was made under
_made: WeakKeyDictionary[Queue, dict[str, tuple[Any, Mapping[str, Any], FunctionTask]]] = WeakKeyDictionary()


def _task_on(queue: Queue, path: str, found: Any, home: Home) -> FunctionTask:
    known = _made.get(queue, {}).get(path)
    if known is not None and known[0] is found and known[1] is home.policy and known[2].alias == home.alias:
        return known[2]
    with _lock:
        there = _made.setdefault(queue, {})
        if (old := there.pop(path, None)) is not None:
            old[2].unregister()
        own = {name: getattr(found, name, None) for name in POLICY}
        policy = {name: home.policy.get(name) if value is None else value for name, value in own.items()}
        made = FunctionTask(queue, path, found, policy, type(home), home.alias)
        there[path] = found, home.policy, made
        return made


def _homes() -> Iterator[Home]:
    for alias in task_backends:
        try:
            backend = task_backends[alias]
        except ImproperlyConfigured:  # Django's check of it says so
            continue
        if isinstance(backend, Home):
            yield backend


def _is_allowed(path: str, home: Home) -> bool:
    names = (*(config.name for config in apps.get_app_configs()), *home.modules)
    return any(path.startswith(f"{name}.") for name in names)


defined.finders.append(find)
