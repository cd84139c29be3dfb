"""What is the worker's own trouble costs no job an attempt: a late BEGIN, a database that it cannot connect to."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections
from msgspec.structs import replace

from jobs import Fixed, PermanentError, Queue, RateLimit, clock
from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.records import ClaimedJob, Completed, HandedBack, ProcessRecord, Retried
from jobs.history.status.report import report
from jobs.models import Attempt, Job
from jobs.work import databases
from jobs.work.consumer import QueueConsumer
from jobs.work.execution import execute
from tests.databases import default_is, emptied, postgresql_as_default, postgresql_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _forget_trouble() -> Iterator[None]:
    yield
    databases._connect_first.clear()


@contextmanager
def claiming(queue: Queue) -> Iterator[tuple[Callable[[], ClaimedJob], ProcessRecord]]:
    broker = DatabaseBroker("default")
    worker = ProcessRecord(clock.new_id(), "worker", queue.name, "host", os.getpid(), 1)
    broker.register(worker, 60)
    numbers = iter(range(1, 100))
    yield lambda: broker.exchange(worker.id, queue.policy, [], 1, number=next(numbers)).jobs[0], worker
    broker.release(worker, lost=False)
    broker.close()


def wait_for(condition: Callable[[], object], limit: float = 60.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.005)


@pytest.mark.sqlite
def test_atomic_task_of_a_limited_queue_whose_begin_waited_is_handed_back_and_never_starts_late() -> None:
    queue, started = Queue("test_lane", rate_limit=RateLimit(100)), []

    @queue.task(name="trouble.atomic", atomic=True)
    def atomic() -> None:
        started.append(clock.monotonic())

    atomic.enqueue()
    with claiming(queue) as (claim, worker):
        job = replace(claim(), start_by=clock.monotonic() + 0.05)
        locked, release = threading.Event(), threading.Event()

        def hold_the_write_lock() -> None:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                locked.set()
                release.wait(60)
                cursor.execute("COMMIT")
            connection.close()

        holder = threading.Thread(target=hold_the_write_lock)
        holder.start()
        assert locked.wait(60)
        threading.Timer(0.1, release.set).start()
        settlement = execute(job, queue, worker.id)
        holder.join()

    assert settlement is not None
    assert isinstance(settlement.outcome, HandedBack)
    assert settlement.started_at is None
    assert not started


@contextmanager
def unreachable(tmp_path: Path) -> Iterator[None]:
    """The database's file cannot be opened by a connection that is made now."""
    connection.close()
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = str(tmp_path / "no folder" / "no file")
    yield
    connection.close()
    connection.settings_dict["NAME"] = before


@pytest.mark.sqlite
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "as another error"])
def test_job_whose_thread_cannot_connect_is_handed_back_whatever_it_makes_of_the_error(
    wrapped: bool, tmp_path: Path
) -> None:
    queue = Queue("test_lane", attempts=1)

    @queue.task(name="trouble.count")
    def count() -> None:
        try:
            Group.objects.count()
        except Exception as error:
            if wrapped:
                raise PermanentError("no groups") from error
            raise

    count.enqueue()
    with claiming(queue) as (claim, worker):
        job = claim()
        with unreachable(tmp_path):
            settlement = execute(job, queue, worker.id)
            again = execute(job, queue, worker.id)

    assert settlement is not None
    assert isinstance(settlement.outcome, HandedBack)
    assert settlement.outcome.trouble
    assert again is not None
    assert again.outcome == settlement.outcome
    assert "unable to open database file" in again.outcome.reason
    # from now on it is noticed before the start
    assert (settlement.started_at is None, again.started_at is None) == (False, True)


def test_error_of_a_tasks_own_statement_is_the_tasks(each_database: str) -> None:
    queue = Queue("test_lane", attempts=2, backoff=Fixed(1))

    @queue.task(name="trouble.wrong")
    def wrong() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nowhere")

    wrong.enqueue()
    with claiming(queue) as (claim, worker):
        settlement = execute(claim(), queue, worker.id)

    assert settlement is not None
    assert isinstance(settlement.outcome, Retried)


def test_job_that_leaves_a_broken_connection_in_a_transaction_ends_as_it_ended(each_database: str) -> None:
    queue = Queue("test_lane")

    @queue.task(name="trouble.careless")
    def careless() -> int:
        connection.set_autocommit(False)
        Group.objects.count()
        connection.connection.close()
        return 7

    careless.enqueue()
    with claiming(queue) as (claim, worker):
        settlement = execute(claim(), queue, worker.id)

    assert settlement is not None
    assert settlement.outcome == Completed("7")
    assert Group.objects.count() == 0


def test_database_of_a_tasks_own_that_is_away_is_the_tasks_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    # a connection of its own shares these settings with the suite's
    monkeypatch.setitem(connections.settings["other"], "NAME", "/no folder/no file")
    queue = Queue("test_lane", attempts=2, backoff=Fixed(1))

    @queue.task(name="trouble.elsewhere")
    def elsewhere() -> None:
        connections.create_connection("other").ensure_connection()

    elsewhere.enqueue()
    with claiming(queue) as (claim, worker):
        settlement = execute(claim(), queue, worker.id)

    assert settlement is not None
    assert isinstance(settlement.outcome, Retried)


@pytest.fixture
def narrow_role(transactional_db: None) -> Iterator[str]:
    """The database's address for a role with few connections, which the site uses."""
    with postgresql_as_default(), emptied():
        role, known = "narrow", connection.settings_dict
        # the suite may run on another server than the tests' own
        url = postgresql_server().url(known["NAME"], int(known["PORT"]))
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 8")
            admin.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
            admin.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
            settings = {**connection.settings_dict, "USER": role}
            connection.close()
            with default_is(settings):
                yield url.replace("postgres@", f"{role}@")
            admin.execute(f"DROP OWNED BY {role}")
            admin.execute(f"DROP ROLE {role}")


def test_role_without_a_free_connection_burns_no_attempt_and_slows_the_claims_down(narrow_role: str) -> None:
    queue = Queue("test_lane", attempts=1)

    @queue.task(name="trouble.group")
    def group(number: int) -> None:
        Group.objects.create(name=f"group {number}")

    broker = DatabaseBroker("default")
    record = ProcessRecord(clock.new_id(), "worker", queue.name, "host", os.getpid(), 4)
    broker.register(record, 60)
    group.enqueue_many(list(range(30)))
    connection.close()
    strangers: list[psycopg.Connection] = []
    try:
        while True:
            strangers.append(psycopg.connect(narrow_role))
    except psycopg.OperationalError:
        pass
    consumer = QueueConsumer(queue, broker, record.id, threads=4, grace=5)
    worker = threading.Thread(target=consumer.run)
    worker.start()
    try:
        wait_for(lambda: consumer.pool._trouble.times > 3 and consumer.pool._trouble._told)
        for stranger in strangers:
            stranger.close()
        text = {finding.code: finding.text for finding in report().findings}["worker_in_trouble"]
        wait_for(lambda: Job.objects.filter(state="completed").count() == 30)
    finally:
        consumer.drain()
        worker.join()
        broker.release(record, lost=False)
        broker.close()

    assert f"The worker host:{os.getpid()} cannot work" in text
    assert "connect" in text
    assert Group.objects.count() == 30
    assert not Job.objects.filter(attempts__gt=1).exists()
    # each thread noticed it once in a task that had begun
    assert Attempt.objects.exclude(outcome="completed").count() <= 4
    assert Job.objects.filter(starts__gt=2).count() == 0
