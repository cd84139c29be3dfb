"""Pause and resume: whether a queue's jobs may start."""

from __future__ import annotations

from functools import partial

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..history.targets import HasName, name_of
from ..models import QueueState
from .audit import note
from .commit import with_broker


def pause(queue: HasName | str, by: AbstractBaseUser | None = None) -> None:
    """Let nothing of the queue start any more; what runs, goes on. Raises `UnknownQueue`."""
    name = name_of(queue)
    _keep(name, True)
    with_broker(partial(get_broker().pause, name), None)
    note(by, QueueState(queue=name), _("Paused."))


def resume(queue: HasName | str, by: AbstractBaseUser | None = None) -> None:
    """Let the queue's jobs start again. Raises `UnknownQueue`."""
    name = name_of(queue)
    _keep(name, False)
    with_broker(partial(get_broker().resume, name), None)
    note(by, QueueState(queue=name), _("Resumed."))


def _keep(queue: str, paused: bool) -> None:
    """Write it down in SQL: a broker outside the database may be wiped, and is told again then."""
    if not get_broker().rows_are_the_queue:
        state = {"paused": paused, "paused_at": clock.now() if paused else None}
        QueueState.objects.using(jobs_settings().database).update_or_create(queue=queue, defaults=state)
