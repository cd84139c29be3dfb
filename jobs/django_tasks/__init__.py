"""Django's own tasks (`django.tasks`, or its backport on Django 5.2) over the engine: the backend, and its twins.

    TASKS = {"default": {"BACKEND": "jobs.django_tasks.Backend", "QUEUES": ["email", "lead"]}}

Beside the way of a job: what Django calls a task is a task of the engine under the function's dotted path.
"""

from __future__ import annotations

from .backend import Backend as Backend
from .twins import DummyBackend as DummyBackend
from .twins import ImmediateBackend as ImmediateBackend

__all__ = ["Backend", "DummyBackend", "ImmediateBackend"]
