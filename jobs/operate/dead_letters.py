"""Discard many dead letters: they are given up, end as cancelled, and stay as long as retention keeps any other.

It is done in the history on every broker: that is where dead letters are. What a broker still remembers of one it
forgets with the fact of its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import reasons
from ..broker import get_broker
from ..broker.database import causes as store
from ..conf import jobs_settings
from ..errors import InvalidOption
from ..history import causes
from ..history.targets import HasName, name_of, task_name_of
from ..models import Cause, Job, QueueState
from .audit import note, note_each
from .clean import check_age, check_limit, ended_before

#: Jobs of one transaction.
CHUNK = 500


def discard_dead_letters(
    *,
    cause: str = "",
    queue: HasName | str = "",
    task: HasName | str = "",
    older_than: timedelta | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    by: AbstractBaseUser | None = None,
    scopes: Sequence[str] | None = None,
) -> int:
    """Give up the dead letters of a cause, or of a queue (and its `task`); returns how many.

    Only those that failed at least `older_than` ago, those that failed first, at most `limit`, of these `scopes`.
    `dry_run` counts and changes nothing. Raises `UnknownCause`, `UnknownQueue`, `UnknownTask`, and `InvalidOption` for
    a wrong value.
    """
    check_limit(limit)
    if older_than is not None:
        check_age(older_than)
    if bool(cause) == (queue != "") or (cause and task != ""):
        raise InvalidOption("discard_dead_letters() takes either cause= or queue=, and task= only beside queue=")
    known = causes.check(cause) if cause else None
    rows = causes.of_cause(cause, scopes) if cause else causes.dead_letters(scopes).filter(queue=name_of(queue))
    if task != "":
        rows = rows.filter(task=task_name_of(task, name_of(queue)))
    # what fails meanwhile stays
    rows = ended_before(rows, get_broker().now() - (older_than or timedelta(0)))
    if dry_run:
        return rows[:limit].count()
    discarded = 0
    while limit is None or discarded < limit:
        chosen = rows.order_by("ended_at", "id").values_list("pk", flat=True)
        ids = list(chosen[: CHUNK if limit is None else min(CHUNK, limit - discarded)])
        count = store.discard(_connection(), ids, reasons.DISCARDED) if ids else 0
        if not count:
            break
        discarded += count
        note_each(by, [Job(pk=id, task="") for id in ids], _("Discarded."))
    if discarded:
        text = ngettext("Discarded: %(count)d job.", "Discarded: %(count)d jobs.", discarded)
        row = Cause(id=cause, task=known.task) if known else QueueState(queue=name_of(queue))
        note(by, row, text % {"count": discarded})
    return discarded


def _connection() -> BaseDatabaseWrapper:
    return connections[jobs_settings().database]
