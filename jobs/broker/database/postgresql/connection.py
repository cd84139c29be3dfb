"""How the broker reaches PostgreSQL: by a connection of its own for each process, by Django's, and by an ear for hints.

Its own connection does the workers' traffic: autocommit, READ COMMITTED, prepared statements whose generic plans use
the indexes. What people ask for goes through Django's connection, and so does everything of a thread whose Django
connection is in a transaction: only it sees its rows. Behind a pooler in transaction mode neither prepared statements
nor session settings nor LISTEN can be relied on; that is noticed when the connection is opened.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from .... import clock
from ....conf import jobs_settings
from ....states import State
from ...records import BEHIND, NewJob
from .. import rows
from ..connection import Forkable, Trip
from ..hints import tell_after_commit
from ..statements import join_parts
from .cursor import NamedCursor

logger = logging.getLogger("jobs.broker")

#: Executions after which psycopg prepares a statement.
PREPARE_AFTER = 2
#: Seconds in which a notification to oneself must arrive, or there is a pooler in between.
SELF_TEST = 1.0
#: Seconds until an ear that cannot hear tries again, and until one behind a pooler does.
DEAF_FOR, POOLED_FOR = 5.0, 600.0
#: A dead network is noticed within seconds; what the DATABASE_URL says wins.
_KEEPALIVE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# The planner must not choose by what it knew when a table was small, or has not counted yet: always the indexes.
# lock_timeout: whoever holds a row for long must not keep this process from renewing its leases
_SESSION = """
    SET default_transaction_isolation = 'read committed';
    SET timezone = 'UTC';
    SET lock_timeout = '3s';
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '30s';
    SET plan_cache_mode = 'force_generic_plan';
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET enable_sort = off;
    SET jit = off;
"""


class PostgresqlTrip(Trip):
    """A trip to PostgreSQL; `now` is read when it is first asked for."""

    __slots__ = ()

    def __init__(self, cursor: rows.Cursor) -> None:
        super().__init__(cursor, "postgresql")
        self._now = None

    @property
    def now(self) -> datetime:
        """The server's time when it was first asked for."""
        if self._now is None:
            self._now = self.read_clock()
        return self._now

    @property
    def text_now(self) -> str:
        """Nothing: the statements read the clock themselves."""
        return ""

    def read_clock(self) -> datetime:
        """The server's time as it is now."""
        moment: datetime = self.run("read_clock")[0][0]
        return moment.astimezone(UTC)

    def run(self, statement: str, **values: Any) -> list[Any]:
        """Run one SQL file and return all its rows, if it has any."""
        return self._run(self._statements[statement], values)

    def run_parts(self, *names: str, **values: Any) -> list[Any]:
        """The same for a statement that is made of these files of `exchange_parts`."""
        return self._run(join_parts("postgresql", "exchange_parts", *names), values)

    def _run(self, text: str, values: Mapping[str, Any]) -> list[Any]:
        self._cursor.execute(text, values)
        # not its `description`: that is an object for each column
        result = getattr(self._cursor, "pgresult", None)
        return self._cursor.fetchall() if result is not None and result.nfields else []

    def write_counts(self) -> None:
        """Write what `count` gathered, to this hour by the server's clock."""
        for queue, counted in sorted(self._counts.items()):
            rows.add_counts(self._cursor, "postgresql", queue, clock.now(), counted)
        self._counts.clear()

    def insert(self, job: NewJob) -> bool:
        """Insert a queued job; False: its id or its key is taken."""
        return bool(self.run("insert_one_job_unless_taken", **rows.parameters(job)))

    def insert_all(self, jobs: Sequence[NewJob]) -> set[UUID]:
        """Insert queued jobs in one statement; returns which: the others' id or key is taken."""
        return rows.insert_rows_unless_taken(self._cursor, jobs)

    def insert_behind(self, job: NewJob) -> None:
        """Insert a job that waits behind the holder of its key."""
        self.run("insert_job", **rows.as_json([replace(job, rule=BEHIND)], State.PENDING))

    def take_over(self, into: UUID, job: NewJob) -> bool:
        """Let a job that waits take over what another one says; False: it waits no longer."""
        rule = job.rule or BEHIND
        values = {**rows.parameters(job), "into": into, "mode": str(rule.mode), "seconds": rule.seconds}
        return bool(self.run("take_over", **values))

    def save_throttle(self, job: NewJob, seconds: float) -> None:
        """Let a throttle begin with this job."""
        self.run("save_throttle", queue=job.queue, key=job.key, id=job.id, seconds=seconds)

    def lock_process(self, process: UUID) -> list[Any]:
        """The process's row, whose lease nobody ends or renews until the end of this transaction."""
        return self.run("lock_process", process=process)

    def parameter(self, moment: datetime) -> Any:
        """A moment to compare a column with."""
        return moment

    def lock_job(self, job_id: UUID) -> None:
        """Let nobody else change the job until the end of this transaction."""
        self.run("lock_job", id=job_id)

    def lock_keys(self, jobs: Iterable[NewJob]) -> None:
        """Let nobody else give these jobs' keys away until the end of this transaction; always in the same order."""
        for queue, key in sorted({(job.queue, job.key) for job in jobs if job.key is not None}):
            self.run("lock_key", queue=queue, key=key)

    def lock_names(self, names: Iterable[tuple[str, str]]) -> None:
        """Let nobody else decide who is next in these sequences, or enter these groups, until the end of this."""
        for queue, name in sorted(set(names)):
            self.run("lock_key", queue=queue, key=f"\x1f{name}")  # no key begins so

    def lock_blocked(self, job_id: UUID) -> bool:
        """Lock a blocked job; False: somebody else has it, or it is blocked no more."""
        return bool(self.run("lock_blocked", id=job_id))

    def lock_limit(self, name: str) -> None:
        """Let nobody else start a job under this limit until the end of this transaction."""
        self.run("lock_limit", name=name)

    def lock_queue(self, queue: str, patience: float) -> bool:
        """Be the only one to claim from the queue until the end of this transaction; waits at most so many seconds."""
        if self.run("lock_queue_if_free", queue=queue):
            return True
        if not isinstance(self._cursor, psycopg.Cursor):  # the caller's transaction: only its own thread waits
            self.run("insert_queue", queue=queue)
            return bool(self.run("lock_queue", queue=queue))
        try:
            with self._cursor.connection.transaction():
                self.run("limit_wait", seconds=f"{patience}s")
                self.run("insert_queue", queue=queue)
                self.run("lock_queue", queue=queue)
        except psycopg.errors.LockNotAvailable:
            return False
        return True


class PostgresqlDatabase(Forkable):
    """A PostgreSQL database."""

    def __init__(self, alias: str) -> None:
        super().__init__()
        self._alias = alias
        self._own: psycopg.Connection[Any] | None = None
        self._own_address: dict[str, Any] = {}
        self._ears: dict[str, psycopg.Connection[Any]] = {}  # by queue
        self._deaf_until = 0.0
        self.broken = 0

    @property
    def django(self) -> BaseDatabaseWrapper:
        """Django's connection of this thread."""
        return connections[self._alias]

    @property
    def in_callers_transaction(self) -> bool:
        """Whether this thread is in a transaction of Django's connection."""
        django = self.django
        return django.in_atomic_block or (django.connection is not None and not django.get_autocommit())

    @contextmanager
    def write(self) -> Iterator[PostgresqlTrip]:
        """A transaction of the workers' traffic."""
        if self.in_callers_transaction:
            with self.write_synced() as trip:
                yield trip
            return
        with self._own_cursor() as cursor, cursor.connection.transaction():
            trip = PostgresqlTrip(cursor)
            yield trip
            trip.write_counts()
        self.tell(trip.told)

    @contextmanager
    def write_synced(self) -> Iterator[PostgresqlTrip]:
        """A transaction of what people ask for, on Django's connection: part of the caller's, if there is one."""
        begins = not self.in_callers_transaction
        with self._noticing_a_break(), rows.block(self.django), self.django.cursor() as cursor:
            if begins and self.django.settings_dict["OPTIONS"].get("isolation_level") is not None:
                # at a higher level, what others do at the same time would be an error instead of an answer
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            trip = PostgresqlTrip(cursor)
            yield trip
            trip.write_counts()
        self.tell(trip.told)

    @contextmanager
    def read(self) -> Iterator[PostgresqlTrip]:
        """Without a transaction: each statement stands for itself and sees what is committed by then."""
        if self.in_callers_transaction:
            with self.on_django() as trip:
                yield trip
            return
        with self._own_cursor() as cursor:
            trip = PostgresqlTrip(cursor)
            yield trip
        self.tell(trip.told)

    @contextmanager
    def on_django(self) -> Iterator[PostgresqlTrip]:
        """The same on Django's connection."""
        with self._noticing_a_break(), self.django.cursor() as cursor:
            trip = PostgresqlTrip(cursor)
            yield trip
        self.tell(trip.told)

    @contextmanager
    def _noticing_a_break(self) -> Iterator[None]:
        """Close Django's connection when it turns out to be broken, as after a restart of the server."""
        django = self.django
        before, own = django.connection, not django.in_atomic_block
        try:
            yield
        except Exception:
            # a transaction that cannot even be rolled back lets go of its connection by itself
            if own and before is not None and (before.closed or django.connection is not before):
                if django.connection is before:
                    django.close()
                self.broken += 1
            raise

    def close(self) -> None:
        """Close the broker's own connection and its ears."""
        with self._lock:
            # forgotten first: who listens at this moment shall see that it was closed, and not broken
            closing = self._connections()
            self._forget_connections()
            for connection in closing:
                connection.close()

    # Hints

    def tell(self, queues: set[str]) -> None:
        """Let sleeping workers of these queues look: now, or once the caller's transaction commits."""
        if queues:
            tell_after_commit(self.django, queues, self._notify)

    def _notify(self, queues: Iterable[str]) -> None:
        """Say, as a statement of its own, that there may be something to claim; a failure is only a later start."""
        try:
            with self.django.cursor() as cursor:
                for queue in queues:
                    PostgresqlTrip(cursor).run("notify_queue", queue=queue)
        except Exception as error:
            logger.warning("hint_not_sent %s: %s", type(error).__name__, error)

    def listen(self, queue: str, seconds: float) -> bool | None:
        """Wait for a hint; None: none can be heard for now. Only one thread of a process may listen."""
        if clock.monotonic() < self._deaf_until:
            return None
        ear = self._ears.get(queue)
        try:
            if ear is None:
                ear = self._open_ear(queue)
                if ear is None:
                    logger.warning("no_hints: nobody's word arrives, as behind a pooler in transaction mode; polling")
                    self._deaf_until = clock.monotonic() + POOLED_FOR
                    return None
                self._ears[queue] = ear
                return True
            # several can come in one packet: all are taken
            return bool(list(ear.notifies(timeout=seconds, stop_after=1)))
        except (psycopg.Error, OSError) as error:
            if ear is not None and self._ears.get(queue) is not ear:
                return None
            logger.warning("no_hints %s: %s; polling", type(error).__name__, " ".join(str(error).split()))
            self._deaf_until = clock.monotonic() + DEAF_FOR
            if self._ears.pop(queue, None) is not None and ear is not None:
                ear.close()
            return None

    def _open_ear(self, queue: str) -> psycopg.Connection[Any] | None:
        connection = psycopg.connect(**self._address(), autocommit=True, prepare_threshold=None)
        try:
            if not _is_behind_pooler(connection):
                channel = PostgresqlTrip(connection.cursor()).run("read_channel", queue=queue)[0][0]
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                if self._hears(connection, channel):
                    return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _hears(self, ear: psycopg.Connection[Any], channel: str) -> bool:
        """Whether a word that another session says arrives; one's own is heard even where nobody else's is."""
        token = clock.new_id().hex
        with psycopg.connect(**self._address(), autocommit=True, prepare_threshold=None) as other:
            other.execute("SELECT pg_notify(%s, %s)", [channel, token])
        until = clock.monotonic() + SELF_TEST
        while (left := until - clock.monotonic()) > 0:
            if any(notice.payload == token for notice in ear.notifies(timeout=left, stop_after=1)):
                return True
        return False

    # The broker's own connection

    @contextmanager
    def _own_cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        with self.django.wrap_database_errors, self._lock:
            connection = self._open()
            try:
                with connection.cursor() as cursor:
                    yield cursor
            finally:
                if connection.closed or connection.broken:
                    self._own = None
                    self.broken += 1

    def _open(self) -> psycopg.Connection[Any]:
        address = self._address()
        if self._own is not None and self._own_address != address:
            self._own.close()
            self._own = None
        if self._own is None:
            connection = psycopg.connect(
                **address, autocommit=True, prepare_threshold=PREPARE_AFTER, cursor_factory=NamedCursor
            )
            try:
                self._prepare_session(connection)
            except BaseException:
                connection.close()
                raise
            self._own, self._own_address = connection, address
        return self._own

    def _prepare_session(self, connection: psycopg.Connection[Any]) -> None:
        if role := self.django.settings_dict["OPTIONS"].get("assume_role"):
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        if _is_behind_pooler(connection):
            logger.warning("pooler_found: no prepared statements and no session settings on the queue connection")
            connection.prepare_threshold = None
            return
        connection.execute(_SESSION)
        if not jobs_settings().synchronous_commit:
            connection.execute("SET synchronous_commit = off")

    def _address(self) -> dict[str, Any]:
        django = self.django.get_connection_params()
        ours = ("context", "cursor_factory", "prepare_threshold", "server_side_binding", "isolation_level", "pool")
        return {**_KEEPALIVE, **{name: value for name, value in django.items() if name not in ours}}

    def _connections(self) -> list[psycopg.Connection[Any]]:
        return [*([] if self._own is None else [self._own]), *self._ears.values()]

    def _forget_connections(self) -> None:
        self._own = None
        self._ears.clear()


def _is_behind_pooler(connection: psycopg.Connection[Any]) -> bool:
    """Whether somebody in between answers under a process id that it made up."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != connection.info.backend_pid
