"""A database from before there were accounts is refused with one sentence, and left as it is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def manage(database: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, "DEBUG": "true", "DATABASE_URL": f"sqlite:///{database}"}
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """As an earlier version's `migrate` has left it, as far as that is told by the table of migrations."""
    database = tmp_path / "old.sqlite3"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "CREATE TABLE django_migrations (id integer PRIMARY KEY, app text, name text, applied datetime)"
        )
        for app, name in (("auth", "0001_initial"), ("admin", "0001_initial"), ("leads", "0001_initial")):
            values = (app, name, "2026-01-01")
            connection.execute("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)", values)
    connection.close()
    return database


def tables(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    found = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
    connection.close()
    return found


def test_an_older_database_stops_the_start_with_one_sentence(old: Path) -> None:
    before = tables(old)
    done = manage(old, "migrate")
    assert done.returncode != 0
    assert "cannot be upgraded: set DATABASE_URL to a new, empty database" in done.stderr
    assert "Traceback" not in done.stderr
    assert tables(old) == before


def test_the_workers_do_not_start_on_it_either(old: Path) -> None:
    done = manage(old, "run_huey")
    assert (done.returncode, "Traceback" in done.stderr) == (78, False)


@pytest.mark.slow
def test_a_new_database_is_migrated(tmp_path: Path) -> None:
    done = manage(tmp_path / "new.sqlite3", "migrate", "--verbosity", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert manage(tmp_path / "new.sqlite3", "migrate", "--check").returncode == 0
