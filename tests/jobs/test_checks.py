"""Django's own settings that jobs cannot live with: refused before anything runs, by one sentence each."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from jobs.broker import forget_broker, get_broker
from jobs.checks import check_in_memory, check_jobs
from jobs.supervise.start import CannotStart, check_configuration


class NoJobsHere:
    """A router that keeps the tables of jobs out of every database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if app_label == "jobs" else None


def set_in_database(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, name, value)


def errors() -> list[str]:
    return [f"{message.id} {message.msg}" for message in check_jobs() if message.level >= 40]


def refused(text: str) -> None:
    """The check says so, and `run_huey` ends with the same sentence."""
    (error,) = errors()
    assert text in error
    with pytest.raises(CannotStart) as caught:
        check_configuration()
    assert str(caught.value) in error


def test_nothing_is_wrong_with_ours() -> None:
    assert errors() == []


def test_naive_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "USE_TZ", False)
    refused("jobs.E011 USE_TZ is False")


@pytest.mark.sqlite
def test_times_in_another_zone_than_utc_on_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    set_in_database(monkeypatch, "TIME_ZONE", "UTC")
    assert errors() == []
    set_in_database(monkeypatch, "TIME_ZONE", "America/Sao_Paulo")
    refused("jobs.E012 DATABASES['default']['TIME_ZONE'] is 'America/Sao_Paulo'")


def test_autocommit_off(monkeypatch: pytest.MonkeyPatch) -> None:
    set_in_database(monkeypatch, "AUTOCOMMIT", False)
    refused("jobs.E013 DATABASES['default']['AUTOCOMMIT'] is False")


def test_a_router_that_sends_the_tables_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.checks.router.routers", [NoJobsHere()])
    refused("jobs.E014 DATABASE_ROUTERS")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "command", ["PRAGMA journal_mode=DELETE;", "PRAGMA synchronous=FULL; pragma journal_mode(off)"]
)
def test_another_journal_than_wal(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    options = connections["default"].settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "init_command", command)
    refused("jobs.E015 DATABASES['default']['OPTIONS']['init_command'] sets journal_mode to")


@pytest.mark.sqlite
@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared"])
def test_a_database_in_memory_is_well_for_tests_and_not_for_workers(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    set_in_database(monkeypatch, "NAME", name)
    assert errors() == []
    assert [message.id for message in check_in_memory()] == ["jobs.E010"]
    with pytest.raises(CannotStart, match="is in memory"):
        check_configuration()


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_at_a_higher_isolation_level_the_engines_own_transactions_stay_at_read_committed(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "isolation_level", 4)
    assert errors() == []
    with get_broker()._database.write_synced() as trip:  # type: ignore[attr-defined]
        trip._cursor.execute("SHOW transaction_isolation")
        assert trip._cursor.fetchall() == [("read committed",)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("serializable",)
    connection.close()


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_the_brokers_own_connection_takes_on_the_role_that_djangos_does(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE of_jobs")
    forget_broker()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "assume_role", "of_jobs")
    try:
        with get_broker()._database._own_cursor() as cursor:  # type: ignore[attr-defined]
            assert cursor.execute("SELECT current_user").fetchone() == ("of_jobs",)
    finally:
        forget_broker()
        with connection.cursor() as cursor:
            cursor.execute("DROP ROLE of_jobs")


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_postgresql_without_psycopg_3(each_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(alias: str) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    forget_broker()
    monkeypatch.setattr("jobs.broker.database.broker.DatabaseBroker", missing)
    refused("jobs.E001 jobs are kept in PostgreSQL by psycopg 3")
