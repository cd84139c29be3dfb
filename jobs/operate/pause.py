"""Pause and resume: whether a queue's jobs may start."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from .. import clock
from ..broker import get_broker
from ..history.targets import HasName, name_of
from ..models import QueueState
from .audit import note
from .queue_row import queue_rows, tell_from_row


def pause(queue: HasName | str, by: AbstractBaseUser | None = None) -> None:
    """Let nothing of the queue start any more; what runs, goes on. Raises `UnknownQueue`."""
    name = name_of(queue)
    _set(name, paused=True)
    note(by, QueueState(queue=name), _("Paused."))


def resume(queue: HasName | str, by: AbstractBaseUser | None = None) -> None:
    """Let the queue's jobs start again. Raises `UnknownQueue`."""
    name = name_of(queue)
    _set(name, paused=False)
    note(by, QueueState(queue=name), _("Resumed."))


def _set(queue: str, *, paused: bool) -> None:
    broker = get_broker()

    def tell(is_paused: bool) -> None:
        (broker.pause if is_paused else broker.resume)(queue)

    if broker.rows_are_the_queue:
        tell(paused)
        return
    # in SQL as well: a broker outside the database may be wiped, and is told again then
    state = {"paused": paused, "paused_at": clock.now() if paused else None}
    queue_rows().update_or_create(queue=queue, defaults=state)
    tell_from_row(queue, lambda row: tell(row.paused))
