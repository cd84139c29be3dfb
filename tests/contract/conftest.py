"""The brokers that the contract suite runs over. A new broker adds a `Bench` here and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import psycopg
import pytest
import redis
from django.db import connection, connections, transaction
from psycopg import sql

from jobs import clock
from jobs.broker.contract import Broker
from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.database.markers import DatabaseMarkers
from jobs.broker.database.postgresql import dead_rows as bounds_of_dead_rows
from jobs.broker.database.postgresql import exchange as postgresql_exchange
from jobs.broker.redis import scripts
from jobs.broker.redis.broker import RedisBroker
from jobs.keep.merge import Forgetting, merge_queue
from jobs.models import Attempt, Job
from jobs.policy import QueuePolicy
from jobs.states import MOVES, State
from tests.contract.hands import QUEUES, Hands
from tests.counted import counted
from tests.databases import default_is, pooled_as_default, postgresql_as_default
from tests.servers import RedisServer


@dataclass(frozen=True)
class Record:
    """What the history says of a job; `timeline` holds (number, outcome) of each start."""

    state: State
    run: int
    attempts: int
    starts: int
    lost: int
    error: str
    reason: str
    result: str | None
    timeline: list[tuple[int | None, str]]


class Bench(Protocol):
    """A broker with nothing in it, a hand on its clock, and a view of what it tells the history."""

    broker: Broker
    #: whether a stranger can hold single rows locked, and whether the store's clock is its own
    has_a_clock: bool

    def another(self) -> Broker:
        """A broker of another process on the same store."""

    def out_of_reach(self) -> AbstractContextManager[None]:
        """Let nobody reach the store meanwhile."""

    def locked(self, table: str, column: str, value: object) -> AbstractContextManager[None]:
        """Let a stranger hold these rows locked meanwhile."""

    def transaction(self) -> AbstractContextManager[None]:
        """A transaction of this thread on the jobs' database, which is its own."""

    def record(self, job_id: UUID) -> Record | None:
        """The history of a job, up to date."""

    def counters(self, queue: str) -> dict[str, int]:
        """The queue's counters, up to date; those that are not zero."""

    def advance(self, seconds: float) -> None:
        """Let the broker's clock be `seconds` later."""

    def clear(self) -> None:
        """Take everything out of the broker."""


def _legal() -> str:
    return " OR ".join(
        f"(OLD.state = '{old}' AND NEW.state = '{new}')" for old in State for new in sorted({old, *MOVES[old]})
    )


class SqliteBench:
    """The database broker on SQLite; while it stands, the database itself refuses every illegal move."""

    has_a_clock = False

    def __init__(self) -> None:
        refuse_other_databases()
        self.broker: Broker = DatabaseBroker("default")
        self._ahead = timedelta(0)

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)

    def another(self) -> Broker:
        return DatabaseBroker("default")

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        with default_is({**connection.settings_dict, **self._nowhere}):
            yield

    _nowhere: dict[str, object] = {"NAME": "/nowhere/at/all.sqlite3"}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            with transaction.atomic():
                yield
        finally:
            connections.close_all()

    def record(self, job_id: UUID) -> Record | None:
        job = Job.objects.filter(id=job_id).first()
        if job is None:
            return None
        timeline = list(Attempt.objects.filter(job=job_id).order_by("id").values_list("number", "outcome"))
        values = (job.run, job.attempts, job.starts, job.lost, job.error, job.reason, job.result)
        return Record(State(job.state), *values, timeline)

    def counters(self, queue: str) -> dict[str, int]:
        return counters_of(queue)

    def clear(self) -> None:
        empty_tables()

    @contextmanager
    def standing(self) -> Iterator[SqliteBench]:
        patch = pytest.MonkeyPatch()
        real_now = clock.now
        patch.setattr(clock, "now", lambda: real_now() + self._ahead)
        try:
            with self._guarded():
                yield self
        finally:
            patch.undo()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        self.clear()
        for statement in self._refuse_illegal_moves:
            _run(statement)
        try:
            yield
        finally:
            self.broker.close()
            for statement in self._allow_illegal_moves:
                _run(statement)
            self.clear()

    _refuse_illegal_moves = (
        "CREATE TRIGGER refuse_illegal_moves BEFORE UPDATE OF state ON jobs_job "
        f"WHEN NOT ({_legal()}) BEGIN SELECT RAISE(ABORT, 'illegal move'); END",
    )
    _allow_illegal_moves: tuple[str, ...] = ("DROP TRIGGER refuse_illegal_moves",)


class PostgresqlBench(SqliteBench):
    """The same on PostgreSQL, whose own clock runs ahead: a function in the test's schema hides the server's."""

    has_a_clock = True
    _nowhere = {"HOST": "127.0.0.1", "PORT": 1}

    @contextmanager
    def locked(self, table: str, column: str, value: object) -> Iterator[None]:
        params = connection.get_connection_params()
        address = {name: params[name] for name in ("host", "port", "user", "dbname")}
        with psycopg.connect(**address) as stranger:
            query = sql.SQL("SELECT 1 FROM {} WHERE {} = %s FOR UPDATE")
            found = stranger.execute(query.format(sql.Identifier(table), sql.Identifier(column)), [value])
            assert found.fetchall(), "there is nothing to lock"
            yield
            stranger.rollback()

    @contextmanager
    def standing(self) -> Iterator[PostgresqlBench]:
        self._set_clock()
        try:
            with self._guarded():
                yield self
        finally:
            _run("DROP FUNCTION IF EXISTS public.clock_timestamp()")

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self._set_clock()

    def _set_clock(self) -> None:
        _run(
            "CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS "
            f"$$ SELECT pg_catalog.clock_timestamp() + interval '{self._ahead.total_seconds()} seconds' $$"
        )

    def clear(self) -> None:
        super().clear()
        # the machine makes tens of thousands of rows: dead ones must not slow the next example down
        self._clears = getattr(self, "_clears", 0) + 1
        if self._clears % 20 == 0:
            _run("VACUUM jobs_job, jobs_attempt, jobs_taskstat, jobs_queuestate, jobs_process")

    _refuse_illegal_moves = (
        "CREATE FUNCTION refuse_illegal_moves() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'illegal move from % to %', OLD.state, NEW.state; END $$",
        "CREATE TRIGGER refuse_illegal_moves BEFORE UPDATE OF state ON jobs_job FOR EACH ROW "
        f"WHEN (NOT ({_legal()})) EXECUTE FUNCTION refuse_illegal_moves()",
    )
    _allow_illegal_moves = (
        "DROP TRIGGER refuse_illegal_moves ON jobs_job",
        "DROP FUNCTION refuse_illegal_moves()",
    )


def counters_of(queue: str) -> dict[str, int]:
    return {name: number for name, number in counted(queue).items() if name != "discarded"}


TABLES = (
    *("attempt", "edge", "job", "grant", "groupstate", "queuestate", "taskstat", "process", "marker", "schedule"),
    *("jobprogress", "logpart", "kept", "throttle", "batch", "member"),
)


def empty_tables() -> None:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM jobs_{table}")


def refuse_other_databases() -> None:
    """A bench empties tables: only ever those of a test database."""
    name, test_name = connection.settings_dict["NAME"], connection.settings_dict["TEST"]["NAME"]
    if str(name) != str(test_name):
        raise RuntimeError(f"{name} is no test database; a bench would empty it")


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def _sqlite() -> Iterator[Bench]:
    with SqliteBench().standing() as bench:
        yield bench


@contextmanager
def _postgresql() -> Iterator[Bench]:
    with postgresql_as_default(), PostgresqlBench().standing() as bench:
        yield bench


@contextmanager
def _bounded() -> Iterator[Bench]:
    """Where every claim skips what it takes for dead rows, as behind an old snapshot, and never looks behind that."""
    with pytest.MonkeyPatch.context() as patch, _postgresql() as bench:
        patch.setattr(bounds_of_dead_rows, "SLOW", float("-inf"))
        patch.setattr(bounds_of_dead_rows, "FULL_EVERY", 1e9)
        patch.setattr(bounds_of_dead_rows, "LONGEST", 3_600.0)
        patch.setattr(postgresql_exchange, "A_JOB", 0.0)
        yield bench


@contextmanager
def _pooled() -> Iterator[Bench]:
    with pooled_as_default(), PostgresqlBench().standing() as bench:
        yield bench


#: What the scripts take for the server's clock meanwhile: as many seconds later as a key of the tests says.
AHEAD = "tests:ahead"
CLOCK = "\nnow = now + tonumber(call('GET', 'tests:ahead') or 0)\n"


@cache
def _redis_server() -> RedisServer:
    server = RedisServer.create()
    server.start()
    return server


class RedisBench:
    """The broker on a Redis server of the tests' own; its history is the rows that the keeper merges."""

    has_a_clock = True

    def __init__(self, protocol: int) -> None:
        refuse_other_databases()
        self._url, self._protocol = _redis_server().url(), protocol
        self._client = redis.Redis.from_url(self._url)
        self.broker: Broker = self.another()
        self._ahead = 0

    def another(self) -> Broker:
        return RedisBroker(self._url, "tests", self._protocol, markers=DatabaseMarkers("default"))

    def advance(self, seconds: float) -> None:
        self._ahead += round(seconds * 1_000_000)
        self._client.set(AHEAD, self._ahead)

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        self.broker.close()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(self.broker._server._options, "port", 1)
            yield

    def locked(self, table: str, column: str, value: object) -> AbstractContextManager[None]:
        raise NotImplementedError("Redis knows no locks")

    def transaction(self) -> AbstractContextManager[None]:
        raise NotImplementedError("Redis is not the jobs' database")

    def record(self, job_id: UUID) -> Record | None:
        self._merge()
        job = Job.objects.filter(id=job_id).first()
        if job is None:
            return None
        timeline = list(Attempt.objects.filter(job=job_id).order_by("id").values_list("number", "outcome"))
        values = (job.run, job.attempts, job.starts, job.lost, job.error, job.reason, job.result)
        # of a live job the broker knows the state
        found = self.broker.find(job.queue, job_id)
        return Record(found.state if found else State(job.state), *values, timeline)

    def counters(self, queue: str) -> dict[str, int]:
        self._merge()
        return counters_of(queue)

    def clear(self) -> None:
        empty_tables()
        self._client.flushall()
        self._client.set(AHEAD, self._ahead)

    def _merge(self) -> None:
        for queue in QUEUES:
            while merge_queue(self.broker, QueuePolicy(queue), Forgetting()):
                pass

    @contextmanager
    def standing(self) -> Iterator[RedisBench]:
        patch, part = pytest.MonkeyPatch(), scripts._part
        patch.setattr(scripts, "_part", lambda name: part(name) + (CLOCK if name == "clock" else ""))
        scripts.load_script.cache_clear()
        self.clear()
        try:
            yield self
        finally:
            self.broker.close()
            self.clear()
            self._client.close()
            patch.undo()
            scripts.load_script.cache_clear()


@contextmanager
def _redis(protocol: int = 2) -> Iterator[Bench]:
    with RedisBench(protocol).standing() as bench:
        yield bench


@contextmanager
def _redis3() -> Iterator[Bench]:
    with _redis(3) as bench:
        yield bench


@contextmanager
def _redis_and_postgresql() -> Iterator[Bench]:
    """Redis with the jobs' database on PostgreSQL: only what happens in that database differs."""
    with postgresql_as_default(), _redis() as bench:
        yield bench


#: By the name of the broker; on a suite that itself runs on PostgreSQL there are no others.
BENCHES = {"postgresql": _postgresql, "bounded": _bounded, "redis": _redis, "redis3": _redis3}
SLOW = ("bounded", "pooled")
#: What the suite on PostgreSQL tells beside it, and the other protocol of the client.
LONG = ("redis_and_postgresql", "redis3")
if connections.settings["default"]["ENGINE"].endswith("sqlite3"):
    BENCHES |= {"sqlite": _sqlite, "pooled": _pooled, "redis_and_postgresql": _redis_and_postgresql}
#: Where a transaction of the jobs' database and the broker meet.
OF_TRANSACTIONS = [name for name in ("sqlite", "postgresql", "redis", "redis_and_postgresql") if name in BENCHES]


HERE = Path(__file__).parent
#: What a pool between the broker and PostgreSQL could break; of the rest behind it `make long` tells.
BEHIND_A_POOL = ("test_claim.py", "test_locked.py", "test_push.py", "test_replay.py", "test_settle.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave a second telling of the same to those who have the time."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        pooled = parameters is not None and parameters.params.get("bench") == "pooled"
        if pooled and item.path.parent == HERE and item.path.name not in BEHIND_A_POOL:
            item.add_marker(pytest.mark.long)


def marked(names: Iterable[str]) -> list[Any]:
    """These benches as parameters: the slow ones, and the longest, are left out where others are enough."""

    def marks(name: str) -> list[pytest.MarkDecorator]:
        return [pytest.mark.slow, pytest.mark.long] if name in LONG else [pytest.mark.slow] if name in SLOW else []

    return [pytest.param(name, marks=marks(name)) for name in names]


@pytest.fixture(params=marked(sorted(BENCHES)))
def bench(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Bench]:
    # `transactional_db` and nothing less: without it pytest-django makes no test database, and a bench empties tables
    with BENCHES[request.param]() as standing:
        yield standing


@pytest.fixture
def broker(bench: Bench) -> Broker:
    return bench.broker


@pytest.fixture
def hands(bench: Bench) -> Hands:
    """What a test does with a broker, in short words."""
    return Hands(bench.broker)
