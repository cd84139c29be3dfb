"""Pause and resume of a tag: whether the jobs of a queue that carry it may start."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext as _

from ..broker import get_broker
from ..broker.contract import Broker
from ..broker.database.values import tags_of, with_tag
from ..conf import jobs_settings
from ..define.labels import checked_tag
from ..errors import InvalidOption
from ..history.targets import HasName, name_of
from ..models import QueueState
from .audit import note
from .queue_row import locked_row, queue_rows, tell_from_row

#: Tags of one queue that are paused at once: each claim compares the tags of the jobs that it meets with them.
MOST = 100


def paused_tags(queue: HasName | str) -> tuple[str, ...]:
    """The queue's paused tags, sorted. Raises `UnknownQueue`."""
    return _kept(name_of(queue))


def pause_tag(queue: HasName | str, tag: str, by: AbstractBaseUser | None = None) -> None:
    """Let no job of the queue start any more that carries the tag, also of those to come; what runs, goes on.

    At most 100 tags of a queue at once. Raises `UnknownQueue` and `InvalidOption`.
    """
    name, tag = name_of(queue), checked_tag(tag)
    known = _kept(name)
    if tag not in known and len(known) >= MOST:
        raise InvalidOption(f"queue {name!r} has {MOST} paused tags, the most there can be: resume one before {tag!r}")
    _set(name, tag, paused=True)
    note(by, QueueState(queue=name), _("Paused tag %(tag)s.") % {"tag": tag})


def resume_tag(queue: HasName | str, tag: str, by: AbstractBaseUser | None = None) -> None:
    """Let the jobs that carry the tag start again, in their old places, unless another of their tags is paused.

    Raises `UnknownQueue` and `InvalidOption`.
    """
    name, tag = name_of(queue), checked_tag(tag)
    _set(name, tag, paused=False)
    note(by, QueueState(queue=name), _("Resumed tag %(tag)s.") % {"tag": tag})


def tell_tags(broker: Broker, state: QueueState) -> None:
    """Let a broker outside the database know which tags are paused by SQL, after it may have lost it."""
    wanted, known = set(tags_of(state.paused_tags)), set(broker.counts(state.queue).paused_tags)
    for tag in sorted(wanted ^ known):
        broker.pause_tag(state.queue, tag, paused=tag in wanted)


def _set(queue: str, tag: str, *, paused: bool) -> None:
    broker = get_broker()
    if broker.rows_are_the_queue:
        broker.pause_tag(queue, tag, paused=paused)
        return
    # in SQL as well: a broker outside the database may be wiped, and is told again then
    with transaction.atomic(using=jobs_settings().database):
        tags = with_tag(locked_row(queue).paused_tags, tag, paused=paused)
        queue_rows().filter(queue=queue).update(paused_tags=tags)
    tell_from_row(queue, lambda row: broker.pause_tag(queue, tag, paused=tag in tags_of(row.paused_tags)))


def _kept(queue: str) -> tuple[str, ...]:
    state = queue_rows().filter(queue=queue).first()
    return () if state is None else tags_of(state.paused_tags)
