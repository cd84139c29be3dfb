from __future__ import annotations

import os
import sqlite3

import pytest
from django.db import connection

from jobs.keep import upkeep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a write-ahead log that counts as large."""
    monkeypatch.setattr(upkeep, "LARGE", 1)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_clockjump (noticed_at, ahead, jobs) VALUES ('2026-01-01 00:00:00', 1.5, 7)")
    path = f"{connection.settings_dict['NAME']}-wal"
    assert os.path.getsize(path) > 0
    return path


def test_large_log_is_cut_off_when_nobody_reads(log: str) -> None:
    assert upkeep.run() > 0
    assert os.path.getsize(log) == 0


def test_log_that_a_reader_needs_is_left_and_nobody_waits(log: str) -> None:
    reader = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM jobs_clockjump").fetchone()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_clockjump (noticed_at, ahead, jobs) VALUES ('2026-01-01 00:00:00', 1.5, 7)")
    assert upkeep.run() == 0
    assert os.path.getsize(log) > 0
    reader.close()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        assert cursor.fetchone()[0] > 0


def test_small_log_is_left_alone(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LARGE", 10**9)
    assert upkeep.run() == 0
    assert os.path.getsize(log) > 0


def test_the_log_of_a_database_that_is_named_by_an_address_is_found(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", f"file:{connection.settings_dict['NAME']}?mode=rw")
    assert upkeep.run() > 0
    assert os.path.getsize(log) == 0
