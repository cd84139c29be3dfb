"""Obliterate: a queue's jobs, their history and its counters are gone, as if it had never been used.

In pieces of one short transaction each. It is safe to repeat, and to break off: then the queue is left paused.
"""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..broker import get_broker
from ..conf import jobs_settings
from ..enqueue.unblock import abandon
from ..errors import Refused
from ..history import inside, lookup
from ..history.targets import HasName, name_of
from ..models import Attempt, Edge, Grant, GroupState, Marker, Member, QueueStat, QueueState, TaskStat, Throttle
from ..states import State
from .audit import note
from .clean import CHUNK
from .pause import pause, resume

#: What the relay or the keeper brings back meanwhile is taken away again, so often.
ROUNDS = 10


def obliterate(queue: HasName | str, *, force: bool = False, by: AbstractBaseUser | None = None) -> int:
    """Take away all of a queue: every job in every state, attempts, keys, grants and counters; returns how many jobs.

    The queue is paused meanwhile and goes on, empty, when all is gone. What is enqueued meanwhile may go too. Raises
    `UnknownQueue`, and `Refused` while jobs run, unless it is forced: then what they still settle is refused.
    """
    name = name_of(queue)
    pause(name)
    wiped = rows = 0
    for _round in range(ROUNDS):
        _refuse_what_runs(name, force)
        wiped += get_broker().wipe(name, force=force) or 0
        gone = _remove_rows(name, force)
        rows += gone
        if not gone and not _any_left(name):
            break
    else:
        raise Refused(
            _("%(queue)s: jobs come back as fast as they are removed: stop what enqueues them, and repeat")
            % {"queue": name}
        )
    _remove_numbers(name)
    resume(name)
    get_broker().wipe(name, force=force, whole=True)
    removed = max(wiped, rows)
    text = ngettext("Obliterated: %(count)d job removed.", "Obliterated: %(count)d jobs removed.", removed)
    note(by, QueueState(queue=name), text % {"count": removed})
    return removed


def _refuse_what_runs(queue: str, force: bool) -> None:
    running = get_broker().counts(queue).active
    if running and not force:
        text = ngettext(
            "%(queue)s: %(count)d job runs: the queue is paused now; repeat this when it has ended, or use --force",
            "%(queue)s: %(count)d jobs run: the queue is paused now; repeat this when they have ended, or use --force",
            running,
        )
        raise Refused(text % {"queue": queue, "count": running})


def _any_left(queue: str) -> bool:
    counts = get_broker().counts(queue)
    return bool(counts.waiting or counts.scheduled or counts.active)


def _remove_rows(queue: str, force: bool) -> int:
    removed = 0
    for state in State:
        if state is State.ACTIVE and not force:
            continue
        rows = lookup.all_jobs().filter(queue=queue, state=state).order_by("pk")
        while ids := list(rows.values_list("pk", flat=True)[:CHUNK]):
            with transaction.atomic(using=rows.db):
                # one that somebody holds locked is waited for: nobody does for long
                held = list(rows.select_for_update().filter(pk__in=ids).values_list("pk", flat=True))
                Attempt.objects.using(rows.db).filter(job_id__in=held).delete()
                Member.objects.using(rows.db).filter(job_id__in=held, state="").update(state=State.CANCELLED)
                inside.forget(held, rows.db)
                Edge.objects.using(rows.db).filter(waiting_id__in=held).delete()
                abandon(held)
                lookup.all_jobs().filter(pk__in=held).delete()
            removed += len(held)
    return removed


def _remove_numbers(queue: str) -> None:
    alias = jobs_settings().database
    for model in (TaskStat, QueueStat, Grant, GroupState, Marker, Throttle):
        model._default_manager.using(alias).filter(queue=queue).delete()
    QueueState.objects.using(alias).filter(queue=queue).update(paused_tags="")
