"""What both databases' connections share: a trip, the ways to one, and what a forked child leaves to its parent."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from ... import clock
from ...states import State
from ..records import BEHIND, NewJob
from ..tally import Tally
from . import rows
from .causes import CauseRow, note_causes
from .statements import load_statements
from .values import text_of

logger = logging.getLogger("jobs.broker")

_all_of_this_process: weakref.WeakSet[Forkable] = weakref.WeakSet()
#: How long a fork waits for the end of a transaction, in seconds.
FORK_PATIENCE = 0.2
_held_still: dict[int, list[Forkable]] = {}
#: Connections inherited over fork: to close them here could harm the parent's files and sessions.
_inherited: list[object] = []


class Forkable(ABC):
    """Has connections that a forked child must leave to its parent."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _all_of_this_process.add(self)

    @abstractmethod
    def _connections(self) -> Iterable[object]:
        """The connections that are open."""

    @abstractmethod
    def _forget_connections(self) -> None:
        """Let go of them without closing them."""

    def leave_to_parent(self) -> None:
        """Forget the connections without closing them."""
        self._lock = threading.RLock()
        _inherited.extend(self._connections())
        self._forget_connections()


class Trip:
    """One transaction, or one plain look, on the jobs' database. `now` was read once the lock was held."""

    __slots__ = ("_counts", "_cursor", "_now", "_statements", "_vendor", "told")

    def __init__(self, cursor: rows.Cursor, vendor: str) -> None:
        self._now: datetime | None = clock.now()
        self._cursor = cursor
        self._vendor = vendor
        self._statements: Mapping[str, str] = load_statements(vendor)
        self._counts: dict[str, Tally] = {}
        self.told: set[str] = set()  # the queues whose sleeping workers shall look once this is committed

    @property
    def now(self) -> datetime:
        """The moment of this trip, by the database's clock."""
        return self._now or self.read_clock()

    @property
    def text_now(self) -> str:
        """`now` for a statement."""
        return text_of(self.now)

    def read_clock(self) -> datetime:
        """The database's time as it is now; for SQLite the machine's."""
        return clock.now()

    def lock_job(self, job_id: UUID) -> None:
        """Let nobody else change the job until the end of this transaction; SQLite has one lock for everything."""

    def lock_process(self, process: UUID) -> list[Any]:
        """The process's row, whose lease nobody ends or renews until the end of this transaction."""
        return self.run("read_process", process=process.hex, now=self.text_now)

    def parameter(self, moment: datetime) -> Any:
        """A moment to compare a column with."""
        return text_of(moment)

    def run(self, statement: str, **values: Any) -> list[Any]:
        """Run one SQL file and return all its rows."""
        self._cursor.execute(self._statements[statement], values)
        return self._cursor.fetchall()

    def change(self, statement: str, **values: Any) -> int:
        """Run one SQL file that answers nothing; returns how many rows it wrote."""
        self._cursor.execute(self._statements[statement], values)
        return self._cursor.rowcount

    def run_each(self, statement: str, values: Iterable[Mapping[str, Any]]) -> None:
        """Run one SQL file for each set of values."""
        self._cursor.executemany(self._statements[statement], list(values))

    def note_causes(self, dead: Sequence[CauseRow]) -> None:
        """Note what these dead letters are grouped by."""
        note_causes(self._cursor, self._vendor, dead)

    def insert(self, job: NewJob) -> bool:
        """Insert a queued job; False: its id or its key is taken."""
        return rows.insert_row_unless_taken(self._cursor, self._vendor, rows.job_values(job, State.QUEUED, self.now))

    def insert_all(self, jobs: Sequence[NewJob]) -> set[UUID]:
        """Insert queued jobs; returns which: the others' id or key is taken."""
        return {job.id for job in jobs if self.insert(job)}

    def insert_behind(self, job: NewJob) -> None:
        """Insert a job that waits behind the holder of its key."""
        self.change("insert_job", **rows.job_values(replace(job, rule=BEHIND), State.PENDING, self.now))

    def take_over(self, into: UUID, job: NewJob) -> bool:
        """Let a job that waits take over what another one says; False: it waits no longer."""
        values, rule = rows.job_values(job, State.QUEUED, self.now), job.rule or BEHIND
        quiet_at = text_of(self.now + timedelta(seconds=rule.seconds))
        return bool(self.run("take_over", **values, into=into.hex, mode=str(rule.mode), quiet_at=quiet_at))

    def save_throttle(self, job: NewJob, seconds: float) -> None:
        """Let a throttle begin with this job."""
        until = text_of(self.now + timedelta(seconds=seconds))
        self.change("save_throttle", queue=job.queue, key=job.key, id=job.id.hex, until=until)

    def lock_keys(self, jobs: Iterable[NewJob]) -> None:
        """Let nobody else give these jobs' keys away until the end of this transaction."""

    def lock_names(self, names: Iterable[tuple[str, str]]) -> None:
        """Let nobody else decide who is next in these sequences, or enter these groups, until the end of this."""

    def lock_blocked(self, job_id: UUID) -> bool:
        """Lock a blocked job; False: somebody else has it, or it is blocked no more."""
        return True

    def lock_limit(self, name: str) -> None:
        """Let nobody else start a job under this limit until the end of this transaction."""

    def count(self, queue: str, task: str, outcome: str) -> None:
        """Add one job to the queue's counters; written by `write_counts`."""
        self.tally(queue).add(task, outcome)

    def tally(self, queue: str) -> Tally:
        """What is to be added to the queue's counters."""
        return self._counts.setdefault(queue, Tally())

    def write_counts(self) -> None:
        """Write what was counted."""
        for queue, counted in sorted(self._counts.items()):
            rows.add_counts(self._cursor, self._vendor, queue, self.now, counted)
        self._counts.clear()


class JobsDatabase(Protocol):
    """The database that holds the jobs, and the ways to it.

    `broken` counts the connections that were found broken; the next trip opens another.
    """

    broken: int

    @property
    def in_callers_transaction(self) -> bool:
        """Whether this thread is in a transaction of Django's connection."""

    @property
    def django(self) -> BaseDatabaseWrapper:
        """Django's connection of this thread."""

    def write(self) -> AbstractContextManager[Trip]:
        """A transaction of the workers' traffic."""

    def write_synced(self) -> AbstractContextManager[Trip]:
        """A transaction of what people ask for, on Django's connection: part of the caller's, if there is one."""

    def on_django(self) -> AbstractContextManager[Trip]:
        """One statement that commits by itself, on Django's connection."""

    def read(self) -> AbstractContextManager[Trip]:
        """A plain look, without a transaction: each statement sees what is committed by then."""

    def tell(self, queues: set[str]) -> None:
        """Let sleeping workers of these queues look: now, or once the caller's transaction commits."""

    def listen(self, queue: str, seconds: float) -> bool | None:
        """Wait for a hint; None: none can be heard for now."""

    def close(self) -> None:
        """Close the broker's own connections."""


def _hold_still() -> None:
    """Fork between two transactions: SQLite would believe for ever that the child holds the locks of one."""
    for database in list(_all_of_this_process):
        # not for long: what is in the way may wait for a lock that the forking thread itself holds
        if database._lock.acquire(timeout=FORK_PATIENCE):
            _held_still.setdefault(threading.get_ident(), []).append(database)


def _go_on() -> None:
    for database in _held_still.pop(threading.get_ident(), []):
        database._lock.release()


def _leave_all_to_parent() -> None:
    _held_still.clear()
    for database in list(_all_of_this_process):
        database.leave_to_parent()


os.register_at_fork(before=_hold_still, after_in_parent=_go_on, after_in_child=_leave_all_to_parent)
