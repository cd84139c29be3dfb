"""What `jobs status` finds: each trouble is made, found with its remedy, mended, and not found any more."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction

from jobs import InvalidOption, Queue, clock, readiness
from jobs.broker import forget_broker, get_broker
from jobs.broker.records import ProcessRecord
from jobs.history import lookup
from jobs.history.status.finding import LIMITS, Finding, Limits
from jobs.history.status.report import Report, report
from jobs.keep.loop import Duty, keep
from jobs.models import Job, Process
from tests.contract.hands import QUEUES
from tests.databases import default_is, emptied, migrated_settings, postgresql_as_default
from tests.faults.harness import wait_for
from tests.servers import PostgresqlServer, need_postgresql

pytestmark = pytest.mark.django_db(transaction=True)

lane = Queue("status_lane")
THREE_THOUSAND_SCHEDULES = """
    INSERT INTO jobs_schedule (
        name, task, from_code, enabled, expression, timezone, missed, overlap, jitter, args, kwargs,
        last_tick, fired, trouble
    )
    SELECT n, 't', true, true, '', '', 'once', 'allow', 0, '[]', '{}', now(), 0, '' FROM generate_series(1, 3000) AS n
"""


@lane.task(name="status.add")
def add(left: int) -> int:
    return left


@pytest.fixture(autouse=True)
def _lane_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})


@pytest.fixture
def at_work(each_database: str) -> str:
    """A worker and a keeper are there, and all is well; the value is the database's vendor."""
    register("worker", lane.name)
    register("keeper")
    return each_database


def register(kind: str, queue: str = "", host: str = "") -> ProcessRecord:
    record = ProcessRecord(clock.new_id(), kind, queue, host or socket.gethostname(), 4711, 1)
    get_broker().register(record, 60)
    return record


def found(limits: Limits = LIMITS) -> dict[str, Finding]:
    return {finding.code: finding for finding in report(limits).findings}


def test_of_a_healthy_system_nothing_is_found(at_work: str) -> None:
    add.enqueue(1)
    seen = report()
    assert seen.findings == []
    assert (seen.history_lag, seen.relay_lag, seen.lease_lag) == (0.0, 0.0, 0.0)
    assert set(seen.clock_offsets) == {socket.gethostname()}
    assert abs(seen.clock_offsets[socket.gethostname()]) < 30  # a machine this busy; a zone is an hour


def test_readiness_tells_of_a_keeper_that_stands_still_and_of_a_migration_that_is_missing(at_work: str) -> None:
    assert [(check.name, check.problem) for check in readiness()] == [
        ("store", ""),
        ("migrations", ""),
        ("broker", ""),
        ("keeper", ""),
    ]
    Process.objects.filter(kind="keeper").update(duties_at=clock.now() - timedelta(minutes=2))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'jobs' AND name = '0033_paused_worker'")
        assert {check.name: check.problem for check in readiness(leave_out=["broker"])} == {
            "store": "",
            "migrations": "1 missing",
            "keeper": "stands still",
        }
        transaction.set_rollback(True)
    with pytest.raises(InvalidOption, match="'kepeer'"):
        readiness(leave_out=["kepeer"])


def test_the_document_has_the_lags_and_the_clocks(at_work: str) -> None:
    out = StringIO()
    call_command("jobs", "status", "--check", "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert document["findings"] == []
    assert document["history_lag_seconds"] == document["relay_lag_seconds"] == document["lease_lag_seconds"] == 0.0
    assert list(document["clock_offset_seconds"]) == [socket.gethostname()]


def pending(**fields: Any) -> None:
    began = clock.now() - timedelta(minutes=3)
    id = UUID(int=lookup.first_id_at(began).int | (clock.new_id().int & ((1 << 64) - 1)))
    values = {"id": id, "queue": lane.name, "task": add.name, "message": "{}", "state": "pending"}
    Job.objects.create(**{**values, "created_at": began, "ready_at": began, **fields})


def test_the_relays_lag_is_the_age_of_the_oldest_accepted_job(at_work: str) -> None:
    pending(run=2, ready_at=clock.now())  # the retry of an old dead letter
    assert report().relay_lag < 60
    pending()
    assert 170 < report().relay_lag < 200


# Keepers


@contextmanager
def keeping(duty: Duty) -> Iterator[ProcessRecord]:
    """A keeper with this duty, in a thread."""
    record, stop = register("keeper"), threading.Event()
    thread = threading.Thread(target=keep, args=(stop, [duty], record.id))
    thread.start()
    try:
        yield record
    finally:
        stop.set()
        thread.join(60)


def signed(record: ProcessRecord) -> bool:
    return Process.objects.get(pk=record.id).duties_at is not None


def test_a_keeper_that_hangs_in_a_duty_is_found_and_one_that_goes_on_is_not(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.keep.sign.INTERVAL", 0.05)
    register("worker", lane.name)
    hangs, hanging, goes_on = threading.Event(), threading.Event(), threading.Event()

    def duty() -> int:
        if hangs.is_set():
            hanging.set()
            goes_on.wait(60)
        return 0

    limits = replace(LIMITS, keeper_silent=0.5)
    with keeping(Duty("reap", 0.02, duty)) as keeper:
        wait_for(lambda: signed(keeper))
        assert "keeper_stopped" not in found()
        hangs.set()
        assert hanging.wait(60)
        text = wait_for(lambda: found(limits).get("keeper_stopped"), what="finding").text
        assert f"The keeper {keeper.label} has not done its duties for" in text
        assert "restart that `manage.py run_huey`" in text
        hangs.clear()
        goes_on.set()
        wait_for(lambda: "keeper_stopped" not in found(limits), what="end of the finding")


def test_a_keeper_whose_duty_fails_again_and_again_is_found(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.keep.sign.INTERVAL", 0.05)
    register("worker", lane.name)

    def fail() -> int:
        raise RuntimeError("no luck")

    with keeping(Duty("relay", 0.02, fail)) as keeper:
        wait_for(lambda: found(replace(LIMITS, keeper_silent=0.5)).get("keeper_stopped"), what="finding")
        assert not signed(keeper)


def test_leases_that_nobody_reaps_are_found(at_work: str) -> None:
    ended = clock.now() - timedelta(minutes=5)
    Process.objects.filter(pk=register("worker", lane.name).id).update(lease_until=ended)
    assert "A process died 5 minutes ago and its jobs have not been given back" in found()["leases_not_reaped"].text
    assert 299 < report().lease_lag < 310
    get_broker().reap(QUEUES)
    assert found() == {}


# Clocks


@pytest.mark.parametrize(("seconds", "words"), [(5, "5.0 s ahead of"), (-90, "1 minute behind")])
def test_a_machine_whose_clock_is_wrong_is_found(
    at_work: str, monkeypatch: pytest.MonkeyPatch, seconds: float, words: str
) -> None:
    if at_work == "sqlite":
        # one machine, one clock: whatever it shows, it is the database's
        monkeypatch.setattr(clock, "now", lambda now=clock.now: now() + timedelta(seconds=seconds))
        assert report().clock_offsets == {socket.gethostname(): 0.0}
        return
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda now=clock.now: now() + timedelta(seconds=seconds))
        forget_broker()
        elsewhere = register("worker", lane.name, host="alpha")
    forget_broker()
    text = found()["clock_skew"].text
    assert text.startswith("alpha: its clock is ")
    assert words in text.replace("4.9", "5.0")
    assert found()["clock_skew"].needs_person
    # a renewal measures anew
    get_broker().renew([elsewhere.id], 60)
    assert found() == {}


def test_trouble_that_a_worker_reports_is_told_until_it_reports_none(at_work: str) -> None:
    worker = register("worker", lane.name, host="alpha")
    get_broker().report_trouble(worker.id, "no connection")
    finding = found()["worker_in_trouble"]
    assert finding.text.startswith("The worker alpha:4711 cannot work for ")
    assert "(no connection)" in finding.text
    assert finding.needs_person
    get_broker().report_trouble(worker.id, "")
    assert found() == {}


def test_news_that_a_worker_has_dropped_is_told_for_an_hour_after_the_last(at_work: str) -> None:
    worker = register("worker", lane.name, host="alpha")
    get_broker().report_dropped(worker.id, 3)
    finding = found()["news_dropped"]
    assert finding.text.startswith("The worker alpha:4711 has dropped 3 pieces of news")
    assert (finding.queue, finding.needs_person) == (lane.name, True)
    rows = Process.objects.filter(pk=worker.id)
    rows.update(news_dropped_at=rows.get().news_dropped_at - timedelta(hours=1))
    assert found() == {}


def test_this_machines_own_clock_is_compared_too(at_work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if at_work == "sqlite":
        return
    forget_broker()
    monkeypatch.setattr(clock, "now", lambda now=clock.now: now() + timedelta(seconds=30))
    assert found()["clock_skew"].text.startswith(f"{socket.gethostname()}: its clock is ")


# SQLite


@pytest.mark.sqlite
def test_a_log_that_a_reader_lets_grow_is_found() -> None:
    register("worker", lane.name)
    register("keeper")
    limits = replace(LIMITS, write_ahead_log=1_000_000)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert found(limits) == {}
    reader = sqlite3.connect(connection.settings_dict["NAME"])
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM jobs_job").fetchall()
    try:
        pending(state="queued", message="x" * 1_500_000, ready_at=clock.now() + timedelta(hours=1))
        text = found(limits)["large_log"].text
        assert "write-ahead log has grown to 1." in text
        assert "End it" in text
        assert found() == {}
    finally:
        reader.close()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert found(limits) == {}


# PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server whose autovacuum is off and which allows prepared transactions."""
    server = PostgresqlServer.create(need_postgresql(), autovacuum="off", max_prepared_transactions="5")
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def neglected_settings(server: PostgresqlServer, django_db_setup: None, django_db_blocker: Any) -> dict[str, Any]:
    with django_db_blocker.unblock():
        return migrated_settings(server, "neglected")


@pytest.fixture
def neglected(neglected_settings: dict[str, Any], transactional_db: None) -> Iterator[None]:
    with default_is(neglected_settings), emptied():
        register("worker", lane.name)
        register("keeper")
        yield


@pytest.fixture
def at_work_on_postgresql(transactional_db: None) -> Iterator[None]:
    with postgresql_as_default(), emptied():
        register("worker", lane.name)
        register("keeper")
        yield


def session(**options: Any) -> psycopg.Connection[Any]:
    """A session of somebody else."""
    params = connection.get_connection_params()
    names = ("host", "port", "user", "dbname")
    return psycopg.connect(**{name: params[name] for name in names}, **options)


def old_transaction() -> Finding | None:
    return found(replace(LIMITS, oldest_transaction=0.2)).get("oldest_transaction")


def test_an_open_transaction_is_found_until_it_ends(neglected: None) -> None:
    with session(application_name="report") as other:
        other.execute("SELECT 1")
        text = wait_for(old_transaction, what="finding").text
        assert "A transaction has been open for" in text
        assert "report, idle in transaction" in text
        assert f"pg_terminate_backend({other.info.backend_pid})" in text
        assert "oldest_transaction" not in found()
        other.rollback()
        assert old_transaction() is None


def test_the_transaction_that_asks_is_not_found(neglected: None) -> None:
    with transaction.atomic():
        Process.objects.update(concurrency=2)
        assert "oldest_transaction" not in found(replace(LIMITS, oldest_transaction=0.0))


#: Some transactions behind is old already.
IMPATIENT = replace(LIMITS, oldest_snapshot=5)


def ten_transactions() -> None:
    for _ in range(10):
        pending(state="cancelled")


@contextmanager
def as_a_role_without_rights() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE plain NOLOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO plain; SET ROLE plain")
        try:
            yield
        finally:
            cursor.execute("RESET ROLE; DROP OWNED BY plain; DROP ROLE plain")


def test_a_role_without_rights_sees_how_far_anothers_transaction_is_behind(neglected: None) -> None:
    with session() as other, as_a_role_without_rights():
        other.execute("SELECT pg_current_xact_id()")
        assert "oldest_transaction" not in found(IMPATIENT)
        ten_transactions()
        text = found(IMPATIENT)["oldest_transaction"].text
        assert f"transactions behind (process {other.info.backend_pid}" in text
        other.rollback()
        assert "oldest_transaction" not in found(IMPATIENT)


@contextmanager
def standby_that_reads(server: PostgresqlServer, slot: str = "") -> Iterator[None]:
    """A query runs there from now on, and what it sees must stay."""
    told = {"hot_standby_feedback": "on", "wal_receiver_status_interval": "1", "cluster_name": "copy_of_reports"}
    standby = server.create_standby(slot, **told)
    try:
        standby.start()
        with psycopg.connect(standby.url()) as reader:
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class")
            yield
    finally:
        standby.remove()


def test_a_standbys_query_that_holds_old_rows_is_found_until_it_ends(neglected: None, server: PostgresqlServer) -> None:
    said = r"The standby copy_of_reports \(process \d+\) reads as of \d\d transactions ago"
    with standby_that_reads(server):
        ten_transactions()
        text = wait_for(lambda: found(IMPATIENT).get("standby"), what="finding").text
        assert re.match(said, text)
        assert "End its long queries, or turn hot_standby_feedback off there" in text
        assert "standby" not in found()
        with as_a_role_without_rights():
            assert re.match(said, found(IMPATIENT)["standby"].text)
    wait_for(lambda: "standby" not in found(IMPATIENT), what="end of the finding")


def test_the_slot_of_a_standby_that_is_gone_is_found_until_it_is_dropped(
    neglected: None, server: PostgresqlServer
) -> None:
    with session(autocommit=True) as other:
        try:
            with standby_that_reads(server, slot="copy_2"):
                held = "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'copy_2' AND xmin IS NOT NULL"
                wait_for(lambda: other.execute(held).fetchone(), what="feedback")
                assert "replication_slot" not in found(IMPATIENT)
            wait_for(lambda: not other.execute("SELECT 1 FROM pg_stat_replication").fetchone(), what="standby's end")
            ten_transactions()
            text = found(IMPATIENT)["replication_slot"].text
            assert re.match(r"The replication slot copy_2 is \d\d transactions behind", text)
            assert "SELECT pg_drop_replication_slot('copy_2')" in text
            assert "replication_slot" not in found()
        finally:
            other.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    assert "replication_slot" not in found(IMPATIENT)


def test_a_forgotten_prepared_transaction_is_found(neglected: None) -> None:
    limits = replace(LIMITS, oldest_transaction=0.2)
    with session(autocommit=True) as other:
        other.execute("BEGIN")
        other.execute("CREATE TABLE left_behind (id integer)")
        other.execute("PREPARE TRANSACTION 'forgotten'")
        try:
            text = wait_for(lambda: found(limits).get("prepared_transaction"), what="finding").text
            assert "ROLLBACK PREPARED 'forgotten'" in text
        finally:
            other.execute("ROLLBACK PREPARED 'forgotten'")
    assert "prepared_transaction" not in found(limits)


def dead_pile() -> Finding | None:
    return found(replace(LIMITS, dead_rows=1_000, unvacuumed=0)).get("dead_rows")


@pytest.mark.slow
def test_a_pile_of_dead_rows_is_found_until_it_is_vacuumed(neglected: None) -> None:
    assert dead_pile() is None
    with session(autocommit=True) as other:
        other.execute(THREE_THOUSAND_SCHEDULES)
        other.execute("DELETE FROM jobs_schedule WHERE name <> '1'")
        text = wait_for(dead_pile, what="finding").text
        assert "jobs_schedule has 2999 dead rows beside 1 live ones" in text
        assert "run VACUUM (ANALYZE) jobs_schedule" in text
        assert "dead_rows" not in found()
        other.execute("VACUUM (ANALYZE) jobs_schedule")
        wait_for(lambda: dead_pile() is None, what="end of the finding")


def test_dead_rows_that_vacuum_clears_in_vain_are_found_until_what_holds_them_ends(neglected: None) -> None:
    limits = replace(LIMITS, dead_rows=1_000, dead_rows_in_vain=2_000)
    with session() as holder, session(autocommit=True) as other:
        other.execute(THREE_THOUSAND_SCHEDULES)
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM jobs_schedule")
        other.execute("DELETE FROM jobs_schedule WHERE name <> '1'")

        def text_after_vacuum() -> str:
            other.execute("VACUUM (ANALYZE) jobs_schedule")
            finding = found(limits).get("dead_rows")
            return finding.text if finding else ""

        # again until all sessions have reported what they did to the table
        said = "jobs_schedule has 2999 dead rows beside 1 live ones, although it was vacuumed"
        text = wait_for(lambda: (text := text_after_vacuum()).startswith(said) and text, what="finding")
        assert "end what still needs them. Look for the oldest xmin in pg_stat_activity" in text
        assert "dead_rows" not in found(replace(limits, dead_rows_in_vain=10_000))
        holder.rollback()
        wait_for(lambda: not text_after_vacuum(), what="end of the finding")


def test_autovacuum_that_is_off_is_found(neglected: None) -> None:
    assert found()["autovacuum_off"].text.startswith("Autovacuum is off: dead rows pile up. Set autovacuum")


def test_autovacuum_that_is_off_for_one_table_is_found(at_work_on_postgresql: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job SET (autovacuum_enabled = off)")
        try:
            assert "ALTER TABLE jobs_job RESET (autovacuum_enabled)" in found()["autovacuum_off"].text
        finally:
            cursor.execute("ALTER TABLE jobs_job RESET (autovacuum_enabled)")
    assert found() == {}


def test_what_needs_a_person_stands_first(at_work: str) -> None:
    get_broker().pause(lane.name)
    pending()
    seen: Report = report()
    assert [finding.code for finding in seen.findings] == ["pending_too_long", "paused"]
    assert seen.needs_person


def test_a_queue_that_no_code_defines_is_found_until_its_jobs_are_gone(at_work: str) -> None:
    waits, dead = row("gone_lane", "queued"), row("gone_lane", "failed")
    (found,) = report().findings
    assert (found.code, found.queue, found.needs_person) == ("unknown_queue", "gone_lane", True)
    assert "1 of its jobs have not ended" in found.text
    assert "Nobody will work them. Dead letters there: 1." in found.text
    waits.delete()
    (found,) = report().findings
    assert (found.code, found.needs_person) == ("unknown_queue", False)
    assert "1 of its jobs are dead letters" in found.text
    dead.delete()
    assert report().findings == []


def test_a_queue_that_other_code_works_is_not_called_unknown(at_work: str) -> None:
    register("worker", "newer_lane")
    row("newer_lane", "queued")
    assert report().findings == []


def row(queue: str, state: str) -> Job:
    now = clock.now()
    values: dict[str, Any] = {"message": "{}", "created_at": now, "ready_at": now}
    return Job.objects.create(id=clock.new_id(), queue=queue, task="app.task", state=state, **values)
