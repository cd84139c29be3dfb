"""Retry: a dead letter begins its next run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.utils.translation import gettext as _

from ..broker.database import rows
from ..conf import jobs_settings
from ..define.options import NO_OPTIONS
from ..define.reference import HasId, id_of
from ..enqueue.after_commit import in_transaction
from ..enqueue.outbox import push_pending
from ..enqueue.sequences import arrange_jobs
from ..errors import Refused
from ..history import lookup
from ..history.targets import HasName, name_of, task_name_of
from ..states import State
from .arguments import edited_message
from .audit import note
from .begin_again import begin_again
from .change import checked_priority
from .clean import check_limit
from .commit import after_commit

logger = logging.getLogger("jobs.operate")


def retry(
    job: HasId | UUID | str,
    by: AbstractBaseUser | None = None,
    *,
    arguments: Mapping[str, Any] | None = None,
    priority: int | None = None,
    at: datetime | None = None,
) -> None:
    """Let a dead letter begin its next run with fresh counters, due now or `at` an aware time.

    One that never ran because of those that it waited for waits again: those that are dead letters begin their next run
    first, and so on; those that cannot are passed over.

    `arguments`, JSON values by the names of their parameters, and `priority` take the place of those that it has.
    Raises `UnknownJob`, `InvalidArguments`, `InvalidOption`, and `Refused` if the job is no dead letter, its key is
    made of an argument that changes, or another live job holds its key; it then is a dead letter again. Inside a
    transaction the key is looked at after the commit.
    """
    job_id, connection = id_of(job), connections[jobs_settings().database]
    changed: dict[str, Any] = {} if priority is None else {"stored_priority": checked_priority(priority)}
    due = None if at is None else NO_OPTIONS.changed(at=at).at
    with rows.block(connection):
        message = None
        if arguments:
            # so that nobody changes them in between
            lookup.all_jobs().select_for_update().filter(pk=job_id).first()
            message = edited_message(lookup.find_job(job_id), arguments, by)
        begun = begin_again(connection, job_id, message)
        run = begun.get(job_id)
        row = lookup.find_job(job_id)
        if run is None:
            text = _(
                "job %(id)s is %(state)s: only a dead letter (failed) can be retried; "
                "enqueue it again to have it run once more"
            )
            raise Refused(text % {"id": job_id, "state": row.shown_state()})
        if due is not None and due > row.ready_at:
            changed |= {"ready_at": due, "timed_at": None}
        if changed:
            lookup.all_jobs().filter(pk=job_id, run=run).update(**changed)
        text = _("Retried: run %(run)d begins.")
        if arguments:
            text = _("Retried with other arguments (%(names)s): run %(run)d begins.")
        note(by, row, text % {"run": run, "names": ", ".join(sorted(arguments or ()))})
        for other in begun.keys() - {job_id}:
            note(by, lookup.find_job(other), _("Retried: run %(run)d begins.") % {"run": begun[other]})
    if in_transaction(connection):
        # with autocommit off Django knows no commit to hook on to: the keeper's relay takes the job
        if connection.in_atomic_block:
            after_commit(partial(push, sorted(begun)))
        return
    push(sorted(begun))
    row.refresh_from_db()
    if row.run == run and row.state == State.FAILED and not row.starts and row.reason:
        note(by, row, _("Not retried: %(reason)s.") % {"reason": row.shown_reason()})
        text = _("job %(id)s: %(reason)s '%(key)s'; retry it when that job has ended")
        raise Refused(text % {"id": job_id, "reason": row.shown_reason(), "key": lookup.shown_key(row)})


def dead_letters(queue: HasName | str, task: HasName | str = "", limit: int | None = 1_000) -> Sequence[UUID]:
    """The ids of a queue's dead letters, of `task` where one is given, the oldest first, at most `limit`.

    Raises `UnknownQueue`, `UnknownTask`, and `InvalidOption` for a wrong value.
    """
    check_limit(limit)
    name = name_of(queue)
    found = lookup.all_jobs().filter(queue=name, state=State.FAILED)
    if task != "":
        found = found.filter(task=task_name_of(task, name))
    return list(found.order_by("pk").values_list("pk", flat=True)[:limit])


def push(job_ids: Sequence[UUID]) -> None:
    """Give what begins its next run to the broker; what cannot be given now is the keeper's."""
    try:
        arrange_jobs(job_ids)
        push_pending(job_ids)
    except Exception:
        ids = " ".join(map(str, job_ids[:10]))
        logger.warning("push_after_retry_failed jobs=%d ids=%s: the keeper relays", len(job_ids), ids, exc_info=True)
