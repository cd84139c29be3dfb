"""The rows of the outbox: accepted in SQL, not yet with the broker."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from ... import clock
from ...errors import BrokerAway
from ...states import State, check_move
from ..contract import LEFT
from ..records import KeyRule, NewJob
from ..tally import Tally
from .rows import add_counts, block
from .statements import load_statements
from .values import MAX_REASON, id_of, moment_of, tags_of, text_of, uuid_of


def read_pending(
    connection: BaseDatabaseWrapper,
    ids: Iterable[UUID] | None = None,
    older_than: float = 0.0,
    limit: int = 1_000,
    without: Collection[str] = (),
    without_jobs: Collection[UUID] = (),
) -> list[NewJob]:
    """The outbox: rows still pending, of these ids or all, accepted at least `older_than` seconds ago, oldest first.

    Those of the queues `without`, and the jobs `without_jobs`, are left where they are.
    """
    params: dict[str, str | float | None] = {
        "ids": None if ids is None else json.dumps([id.hex for id in ids]),
        "now": text_of(clock.now()),
        "created_before": text_of(clock.now() - timedelta(seconds=older_than)),
        "older_than": older_than,
        "limit": limit,
        "without": json.dumps(sorted(without)),
        "without_jobs": json.dumps([id.hex for id in without_jobs]),
    }
    with connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["read_pending"], params)
        return [_new_job(row) for row in cursor.fetchall()]


def note_queued(connection: BaseDatabaseWrapper, jobs: Iterable[NewJob]) -> None:
    """Let the rows say that a broker outside the database has these jobs; nothing where they say more already."""
    taken = json.dumps([[job.id.hex, job.run] for job in jobs])
    with block(connection), connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["note_queued"], {"jobs": taken})


def note_elsewhere(connection: BaseDatabaseWrapper, queue: str, store: str) -> None:
    """Let the database's own workers take nothing more from a queue that another broker keeps from now on.

    Raises `BrokerAway` if the jobs have left that broker's store.
    """
    statements = load_statements(connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(statements["read_keeper"], {"queue": queue})
        elsewhere, left = (cursor.fetchall() or [(False, "")])[0]
        if store and left == store:
            raise BrokerAway(LEFT, undone=True)
        if not elsewhere:
            cursor.execute(statements["note_elsewhere"], {"queue": queue})


def held_keys(connection: BaseDatabaseWrapper, queue: str, keys: Sequence[str]) -> dict[str | None, UUID] | None:
    """Of these keys those that the database's own jobs hold, each with its holder.

    None as soon as the keeper has told the broker outside the database of all rows of the queue: that one knows.
    """
    statements = load_statements(connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(statements["read_taken_over"], {"queue": queue})
        is_told, is_elsewhere = (cursor.fetchall() or [(False, False)])[0]
        if is_told:
            return None
        # queued rows may be the other broker's as soon as one was given to it
        params: dict[str, str | bool] = {"queue": queue, "keys": json.dumps(keys), "waiting": not is_elsewhere}
        cursor.execute(statements["read_held_keys"], params)
        return {key: id_of(id) for key, id in cursor.fetchall()}


def end_pending(connection: BaseDatabaseWrapper, job_id: UUID, run: int, state: State, reason: str) -> bool:
    """Let a pending job end as cancelled, expired or failed; False: this run of it is not pending any more."""
    check_move(State.PENDING, state)
    now = clock.now()
    params: dict[str, str | int] = {
        "id": job_id.hex,
        "run": run,
        "state": str(state),
        "now": text_of(now),
        "reason": reason[:MAX_REASON],
    }
    with block(connection), connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["end_pending"], params)
        ended = cursor.fetchall()
        # a refused retry stays the dead letter that was counted when its last run failed
        if ended and state != State.FAILED:
            (queue, task), tally = ended[0], Tally()
            tally.add(task, state)
            add_counts(cursor, connection.vendor, queue, now, tally)
    return bool(ended)


def start_next_run(connection: BaseDatabaseWrapper, job_id: UUID, message: str | None = None) -> int | None:
    """Make a dead letter pending again, as its next run with fresh counters; returns the run, None if it is none.

    `message` holds its arguments from now on, if it is given.
    """
    return start_next_runs(connection, [(job_id, 0.0)], message).get(job_id)


def start_next_runs(
    connection: BaseDatabaseWrapper, delays: Iterable[tuple[UUID, float]], message: str | None = None
) -> dict[UUID, int]:
    """The same of several in one transaction, each due in so many seconds; returns the runs of those that were some."""
    runs: dict[UUID, int] = {}
    statement, now = load_statements(connection.vendor)["start_next_run"], clock.now()
    with block(connection), connection.cursor() as cursor:
        for job_id, delay in delays:
            params: dict[str, Any] = {"id": job_id.hex, "message": message, "delay": delay}
            params |= {"now": text_of(now), "ready_at": text_of(now + timedelta(seconds=delay))}
            cursor.execute(statement, params)
            runs.update((job_id, run) for (run,) in cursor.fetchall())
    return runs


def _new_job(row: Sequence[Any]) -> NewJob:
    (
        id,
        run,
        queue,
        task,
        priority,
        message,
        key,
        ready,
        expires,
        event,
        event_id,
        about_type,
        about_id,
        parent,
        *rest,
    ) = row
    scope, group, tags, attempts, starts, lost, rule, awaited, lane = rest
    return NewJob(
        id=id_of(id),
        run=run,
        queue=queue,
        task=task,
        priority=priority,
        message=message,
        key=key,
        ready_at=moment_of(ready),
        expires_at=None if expires is None else moment_of(expires),
        event=event,
        event_id=uuid_of(event_id),
        about=(about_type, about_id) if about_type else None,
        parent_id=uuid_of(parent),
        scope=scope,
        group=group,
        tags=tags_of(tags),
        attempts=attempts,
        starts=starts,
        lost=lost,
        awaited=bool(awaited),
        lane=lane,
        # the next run of a dead letter has the key, or is refused
        rule=KeyRule.of_text(rule) if run == 1 else None,
    )
