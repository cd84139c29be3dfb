"""New job rows and counters, written by raw SQL on Django's connection or the broker's own.

On PostgreSQL the server's clock says when a job was accepted.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ... import clock
from ...states import State, check_move
from ..records import NewJob
from ..tally import Tally
from .statements import load_statements
from .values import expires_at, moment_of, ready_at, text_of, text_of_tags, timed_at

_own = threading.local()


class Cursor(Protocol):
    """What the cursors of Django, sqlite3 and psycopg have in common."""

    @property
    def description(self) -> Any:
        """What the columns of the answer are; None without an answer."""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement wrote."""

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
            cursor.execute(load_statements("postgresql")["insert_job"], as_json(jobs, state))
            due = {id: moment_of(ready) for id, ready in cursor.fetchall()}
        return [due[job.id] for job in jobs]
    now = clock.now()
    rows = [job_values(job, state, now) for job in jobs]
    with block(connection), connection.cursor() as cursor:
        cursor.executemany(load_statements(connection.vendor)["insert_job"], rows)
    return [ready_at(job, now) for job in jobs]


def insert_row_unless_taken(cursor: Cursor, vendor: str, values: Mapping[str, Any]) -> bool:
    """Insert one new job; False: its id or its key is taken, and nothing happened."""
    cursor.execute(load_statements(vendor)["insert_job_unless_taken"], values)
    return cursor.rowcount == 1


def insert_rows_unless_taken(cursor: Cursor, jobs: Sequence[NewJob]) -> set[UUID]:
    """PostgreSQL: insert new queued jobs in one statement; returns which, the others' id or key is taken."""
    statement = load_statements("postgresql")["insert_job_unless_taken"]
    cursor.execute(statement, as_json(jobs, State.QUEUED))
    return {id for (id,) in cursor.fetchall()}


def add_counts(cursor: Cursor, vendor: str, queue: str, at: datetime, counts: Tally) -> None:
    """Add to the queue's counters of the hour of `at`."""
    part = any_part() if vendor == "postgresql" else 0
    _add(cursor, load_statements(vendor)["add_counts"], queue, at, part, counts)


def add_counts_of_hour(cursor: Cursor, vendor: str, queue: str, at: datetime, counts: Tally, part: int = 0) -> None:
    """The same of an hour that is over, or in one of its parts; 0 is the merge's, which one keeper at a time writes.

    Only to the present hour others add on PostgreSQL, in parts of their own.
    """
    name = "add_counts_of_hour" if vendor == "postgresql" else "add_counts"
    _add(cursor, load_statements(vendor)[name], queue, at, part, counts)


def _add(cursor: Cursor, statement: str, queue: str, at: datetime, part: int, counts: Tally) -> None:
    # no fraction: the ORM writes a whole hour without one, and equality of text must find it
    place = {"queue": queue, "hour": at.strftime("%Y-%m-%d %H:00:00"), "part": part}
    for (task, outcome, ran, waited), (jobs, ran_ms, waited_ms) in counts:
        cell = {"task": task, "outcome": outcome, "ran": ran, "waited": waited}
        cursor.execute(statement, {**place, **cell, "jobs": jobs, "ran_ms": ran_ms, "waited_ms": waited_ms})


def any_part() -> int:
    """A new row of counters on PostgreSQL, for one who may hold it as long as a transaction of people's lasts."""
    return 2 * random.randrange(1, 16_384)


def part_of_this_thread() -> int:
    """The row of counters to which this thread's exchanges add on PostgreSQL; nobody else holds it."""
    if not hasattr(_own, "part"):
        _own.part = 2 * random.randrange(16_384) + 1
    return int(_own.part)


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
        "scope": job.scope,
        "group": job.group,
        "lane": job.lane,
        "tags": text_of_tags(job.tags),
        "rule": None if job.rule is None else str(job.rule),
        "timed_at": None if (timed := timed_at(job, now)) is None else text_of(timed),
    }


def parameters(job: NewJob) -> dict[str, Any]:
    """The parameters of PostgreSQL's insert of one new job."""
    return {
        "id": job.id,
        "run": job.run,
        "queue": job.queue,
        "task": job.task,
        "priority": job.priority,
        "message": job.message,
        "key": job.key,
        "delay": job.delay,
        "at": job.at,
        "ready_at": job.ready_at,
        "expires_in": job.expires_in,
        "expires_at": job.expires_at,
        "event": job.event,
        "event_id": job.event_id,
        "about_type": job.about[0] if job.about else "",
        "about_id": job.about[1] if job.about else "",
        "parent_id": job.parent_id,
        "scope": job.scope,
        "group": job.group,
        "lane": job.lane,
        "tags": text_of_tags(job.tags),
        "rule": None if job.rule is None else str(job.rule),
    }


def as_json(jobs: Sequence[NewJob], state: State) -> dict[str, str]:
    """The parameters of PostgreSQL's inserts of many."""
    return {"jobs": json.dumps([parameters(job) for job in jobs], ensure_ascii=False, default=str), "state": str(state)}
