"""Job rows written and read by raw SQL on a Django connection; used by the outbox and by the database broker.

On SQLite moments are stored as Django's ORM reads and compares them, but always with six digits of microseconds: text
sorts as time does only when all of it has one length. On PostgreSQL the server's clock says when a job was accepted.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ... import clock
from ...states import State, check_move
from ..records import NewJob

MAX_REASON = 250

_INSERT_JOB = {
    "sqlite": """
        INSERT INTO jobs_job (
            id, run, queue, task, state, priority, message, key, created_at, ready_at, expires_at,
            attempts, starts, lost, alone, token, cancel_requested, error, reason,
            event, event_id, about_type, about_id, parent_id
        ) VALUES (
            :id, :run, :queue, :task, :state, :priority, :message, :key, :now, :ready_at, :expires_at,
            0, 0, 0, 0, 0, 0, '', '',
            :event, :event_id, :about_type, :about_id, :parent_id
        )
    """,
    # any number of jobs in one statement, which reads the clock once: they are due in the order of their ids
    "postgresql": """
        WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
        INSERT INTO jobs_job (
            id, run, queue, task, state, priority, message, key, created_at, ready_at, expires_at,
            attempts, starts, lost, alone, token, cancel_requested, error, reason,
            event, event_id, about_type, about_id, parent_id
        )
        SELECT
            job.id, job.run, job.queue, job.task, %(state)s, job.priority, job.message, job.key, clock.now,
            coalesce(job.ready_at, clock.now + job.delay * interval '1 second'),
            coalesce(job.expires_at, clock.now + job.expires_in * interval '1 second'),
            0, 0, 0, false, 0, false, '', '',
            job.event, job.event_id, job.about_type, job.about_id, job.parent_id
        FROM clock, json_to_recordset(%(jobs)s::json) AS job (
            id uuid, run smallint, queue text, task text, priority smallint, message text, key text,
            delay double precision, ready_at timestamptz, expires_in double precision, expires_at timestamptz,
            event text, event_id uuid, about_type text, about_id text, parent_id uuid
        )
    """,
}
_READ_PENDING = {
    "sqlite": """
        SELECT id, run, queue, task, priority, message, key, ready_at, expires_at,
               event, event_id, about_type, about_id, parent_id
        FROM jobs_job
        WHERE state = 'pending'
          AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
          AND created_at <= :created_before
        ORDER BY id
        LIMIT :limit
    """,
    "postgresql": """
        SELECT id, run, queue, task, priority, message, key, ready_at, expires_at,
               event, event_id, about_type, about_id, parent_id
        FROM jobs_job
        WHERE state = 'pending'
          AND (%(ids)s::text IS NULL OR id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
          AND created_at <= clock_timestamp() - %(older_than)s * interval '1 second'
        ORDER BY id
        LIMIT %(limit)s
    """,
}
_END_PENDING = {
    "sqlite": """
        UPDATE jobs_job SET state = :state, ended_at = :now, reason = :reason
        WHERE id = :id AND run = :run AND state = 'pending'
        RETURNING queue
    """,
    "postgresql": """
        UPDATE jobs_job SET state = %(state)s, ended_at = clock_timestamp(), reason = %(reason)s
        WHERE id = %(id)s AND run = %(run)s AND state = 'pending'
        RETURNING queue
    """,
}
_START_NEXT_RUN = {
    "sqlite": """
        UPDATE jobs_job
        SET state = 'pending', run = run + 1, ready_at = :now, expires_at = NULL,
            attempts = 0, starts = 0, lost = 0, alone = 0, cancel_requested = 0, unknown_since = NULL,
            claimed_at = NULL, started_at = NULL, ended_at = NULL, reason = ''
        WHERE id = :id AND state = 'failed'
        RETURNING run
    """,
    "postgresql": """
        UPDATE jobs_job
        SET state = 'pending', run = run + 1, ready_at = clock_timestamp(), expires_at = NULL,
            attempts = 0, starts = 0, lost = 0, alone = false, cancel_requested = false, unknown_since = NULL,
            claimed_at = NULL, started_at = NULL, ended_at = NULL, reason = ''
        WHERE id = %(id)s AND state = 'failed'
        RETURNING run
    """,
}
_ADD_COUNTS = {
    "sqlite": """
        INSERT INTO jobs_queuestat
            (queue, hour, part, completed, failed, retried, lost, cancelled, expired, ran_ms, waited_ms)
        VALUES
            (:queue, :hour, 0, :completed, :failed, :retried, :lost, :cancelled, :expired, :ran_ms, :waited_ms)
        ON CONFLICT (queue, hour, part) DO UPDATE SET
            completed = completed + excluded.completed,
            failed = failed + excluded.failed,
            retried = retried + excluded.retried,
            lost = lost + excluded.lost,
            cancelled = cancelled + excluded.cancelled,
            expired = expired + excluded.expired,
            ran_ms = ran_ms + excluded.ran_ms,
            waited_ms = waited_ms + excluded.waited_ms
    """,
    "postgresql": """
        INSERT INTO jobs_queuestat AS stat
            (queue, hour, part, completed, failed, retried, lost, cancelled, expired, ran_ms, waited_ms)
        VALUES (
            %(queue)s, date_trunc('hour', clock_timestamp(), 'UTC'), %(part)s, %(completed)s, %(failed)s, %(retried)s,
            %(lost)s, %(cancelled)s, %(expired)s, %(ran_ms)s, %(waited_ms)s
        )
        ON CONFLICT (queue, hour, part) DO UPDATE SET
            completed = stat.completed + excluded.completed,
            failed = stat.failed + excluded.failed,
            retried = stat.retried + excluded.retried,
            lost = stat.lost + excluded.lost,
            cancelled = stat.cancelled + excluded.cancelled,
            expired = stat.expired + excluded.expired,
            ran_ms = stat.ran_ms + excluded.ran_ms,
            waited_ms = stat.waited_ms + excluded.waited_ms
    """,
}
_NO_COUNTS = dict.fromkeys(("completed", "failed", "retried", "lost", "cancelled", "expired", "ran_ms", "waited_ms"), 0)


#: Which part of an hour's counters this process adds to, on PostgreSQL: one row for all would make them queue up.
STAT_PART = random.randrange(64)


class Cursor(Protocol):
    """What the cursors of Django, sqlite3 and psycopg have in common."""

    @property
    def description(self) -> Any:
        """What the columns of the answer are; None without an answer."""

    def execute(self, sql: str, params: Any = ..., /) -> Any:
        """Run one statement."""

    def executemany(self, sql: str, params: Any, /) -> Any:
        """Run one statement for each set of parameters."""

    def fetchall(self) -> list[Any]:
        """The rows of the last statement."""


def block(connection: BaseDatabaseWrapper) -> transaction.Atomic:
    """A transaction, or part of the caller's.

    Without a savepoint where autocommit is off: SQLite would take its release for the caller's COMMIT.
    """
    savepoint = connection.in_atomic_block and connection.commit_on_exit
    return transaction.atomic(using=connection.alias, savepoint=savepoint)


def insert_rows(connection: BaseDatabaseWrapper, jobs: Sequence[NewJob], state: State) -> list[datetime]:
    """Insert new jobs in `state` (pending or queued), all or none; returns when each is due.

    In the caller's transaction if there is one.
    """
    check_move(None, state)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_INSERT_JOB["postgresql"] + "RETURNING id, ready_at", _as_json(jobs, state))
            due = {id: moment_of(ready) for id, ready in cursor.fetchall()}
        return [due[job.id] for job in jobs]
    now = clock.now()
    rows = [job_values(job, state, now) for job in jobs]
    with block(connection), connection.cursor() as cursor:
        cursor.executemany(_INSERT_JOB[connection.vendor], rows)
    return [ready_at(job, now) for job in jobs]


def insert_row_unless_taken(cursor: Cursor, vendor: str, values: Mapping[str, Any]) -> bool:
    """Insert one new job; False: its id or its key is taken, and nothing happened."""
    cursor.execute(_INSERT_JOB[vendor] + "ON CONFLICT DO NOTHING RETURNING id", values)
    return bool(cursor.fetchall())


def insert_rows_unless_taken(cursor: Cursor, jobs: Sequence[NewJob]) -> set[UUID]:
    """PostgreSQL: insert new queued jobs in one statement; returns which, the others' id or key is taken."""
    statement = _INSERT_JOB["postgresql"] + "ON CONFLICT DO NOTHING RETURNING id"
    cursor.execute(statement, _as_json(jobs, State.QUEUED))
    return {id for (id,) in cursor.fetchall()}


def read_pending(
    connection: BaseDatabaseWrapper,
    ids: Iterable[UUID] | None = None,
    older_than: float = 0.0,
    limit: int = 1_000,
) -> list[NewJob]:
    """The outbox: rows still pending, of these ids or all, accepted at least `older_than` seconds ago, oldest first."""
    params: dict[str, str | float | None] = {
        "ids": None if ids is None else json.dumps([id.hex for id in ids]),
        "created_before": text_of(clock.now() - timedelta(seconds=older_than)),
        "older_than": older_than,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_READ_PENDING[connection.vendor], params)
        return [_new_job(row) for row in cursor.fetchall()]


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
        cursor.execute(_END_PENDING[connection.vendor], params)
        ended = cursor.fetchall()
        # a refused retry stays the dead letter that was counted when its last run failed
        if ended and state != State.FAILED:
            add_counts(cursor, connection.vendor, ended[0][0], now, {str(state): 1})
    return bool(ended)


def start_next_run(connection: BaseDatabaseWrapper, job_id: UUID) -> int | None:
    """Make a dead letter pending again, as its next run with fresh counters; returns the run, None if it is none."""
    with block(connection), connection.cursor() as cursor:
        cursor.execute(_START_NEXT_RUN[connection.vendor], {"id": job_id.hex, "now": text_of(clock.now())})
        moved = cursor.fetchall()
    return moved[0][0] if moved else None


def add_counts(cursor: Cursor, vendor: str, queue: str, at: datetime, counts: Mapping[str, int]) -> None:
    """Add to the queue's counters of the hour of `at`."""
    # no fraction: the ORM writes a whole hour without one, and equality of text must find it
    hour = at.strftime("%Y-%m-%d %H:00:00")
    cursor.execute(_ADD_COUNTS[vendor], {**_NO_COUNTS, **counts, "queue": queue, "hour": hour, "part": STAT_PART})


def job_values(job: NewJob, state: State, now: datetime) -> dict[str, Any]:
    """The column values of a new job that the store takes at `now`."""
    expires = expires_at(job, now)
    return {
        "id": job.id.hex,
        "run": job.run,
        "queue": job.queue,
        "task": job.task,
        "state": str(state),
        "priority": job.priority,
        "message": job.message,
        "key": job.key,
        "now": text_of(now),
        "ready_at": text_of(ready_at(job, now)),
        "expires_at": None if expires is None else text_of(expires),
        "event": job.event,
        "event_id": None if job.event_id is None else job.event_id.hex,
        "about_type": job.about[0] if job.about else "",
        "about_id": job.about[1] if job.about else "",
        "parent_id": None if job.parent_id is None else job.parent_id.hex,
    }


def ready_at(job: NewJob, now: datetime) -> datetime:
    """When a job that the store takes at `now` is due."""
    return job.ready_at or now + timedelta(seconds=job.delay)


def expires_at(job: NewJob, now: datetime) -> datetime | None:
    """When a job that the store takes at `now` expires."""
    if job.expires_at is not None or job.expires_in is None:
        return job.expires_at
    return now + timedelta(seconds=job.expires_in)


def text_of(moment: datetime) -> str:
    """An aware moment as SQLite holds it."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def moment_of(value: str | datetime) -> datetime:
    """A stored moment, aware; for SQLite Django hands out a naive datetime where others hand out text."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)


def uuid_of(value: str | UUID | None) -> UUID | None:
    """A stored id, or none."""
    return None if value is None else id_of(value)


def id_of(value: str | UUID) -> UUID:
    """A stored id; SQLite holds the hexadecimal digits."""
    return UUID(value) if isinstance(value, str) else value


def _new_job(row: Sequence[Any]) -> NewJob:
    id, run, queue, task, priority, message, key, ready, expires, event, event_id, about_type, about_id, parent = row
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
    )


def _as_json(jobs: Sequence[NewJob], state: State) -> dict[str, str]:
    """The parameters of PostgreSQL's insert."""
    values = [
        {
            "id": job.id.hex,
            "run": job.run,
            "queue": job.queue,
            "task": job.task,
            "priority": job.priority,
            "message": job.message,
            "key": job.key,
            "delay": job.delay,
            "ready_at": None if job.ready_at is None else job.ready_at.isoformat(),
            "expires_in": job.expires_in,
            "expires_at": None if job.expires_at is None else job.expires_at.isoformat(),
            "event": job.event,
            "event_id": None if job.event_id is None else job.event_id.hex,
            "about_type": job.about[0] if job.about else "",
            "about_id": job.about[1] if job.about else "",
            "parent_id": None if job.parent_id is None else job.parent_id.hex,
        }
        for job in jobs
    ]
    return {"jobs": json.dumps(values, ensure_ascii=False), "state": str(state)}
