"""Django's backends for tests, with tasks that take the options of ours: no broker, no database."""

from __future__ import annotations

from . import framework
from .task import Task


class ImmediateBackend(framework.ImmediateBackend):
    """Django's `ImmediateBackend`: `enqueue` runs the function at once; our options are taken."""

    task_class = Task
    supports_metadata = True


class DummyBackend(framework.DummyBackend):
    """Django's `DummyBackend`: `enqueue` only notes the call, in `results`; our options are taken."""

    task_class = Task
    supports_metadata = True
