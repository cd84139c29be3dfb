"""A SQLite file in whose place another is put: the process goes on with that one, and nothing of the old gets in."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.signals import request_started
from django.db import connection

from config.settings.env import Environment
from jobs.broker import get_broker
from jobs.connections import close_obsolete_connections
from jobs.errors import BrokerAway
from jobs.history.endings import look
from jobs.models import Job
from jobs.sqlite_files import remove_orphans
from tests.contract.hands import Hands
from tests.databases import default_is

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


class Place:
    """A database's place, and copies of the empty database to put there."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.path = folder / "db.sqlite3"
        self._template = template
        self.path.write_bytes(template.read_bytes())

    def restore(self, *, job: str = "") -> None:
        """Put a backup in the database's place, by a rename; `job` is the id of the one job that it has."""
        backup = self.path.with_name("backup")
        backup.write_bytes(self._template.read_bytes())
        if job:
            with sqlite3.connect(backup) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
                values = (job, "lane", "app.task", "queued", "{}", *["2026-01-01 00:00:00"] * 2)
                connection.execute(
                    "INSERT INTO jobs_job (id, queue, task, state, message, created_at, ready_at, run, priority, "
                    "attempts, starts, lost, alone, token, cancel_requested, error, reason, event, about_type, "
                    "about_id) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, 1, 5, 0, 0, 0, 0, 0, 0, '', '', '', '', '')",
                    values,
                )
            connection.close()
        backup.rename(self.path)

    def beside(self) -> set[str]:
        return {path.name for path in self.path.parent.iterdir()} - {self.path.name}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    template = tmp_path / "template"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(template)])
    folder = tmp_path / "data"
    folder.mkdir()
    found = Place(folder, template)
    settings = Environment({"URL": f"sqlite:///{found.path}"}).database("URL", "", Path())
    # as in a worker: a thread keeps its connection
    with default_is({**settings, "CONN_MAX_AGE": None}):
        yield found


RESTORED = "0" * 31 + "1"


def test_the_broker_goes_over_to_the_new_file(place: Place) -> None:
    hands = Hands(get_broker())
    lost = hands.push()
    (claimed,) = hands.claim()
    assert claimed.id == lost
    place.restore(job=RESTORED)
    # a job of the old file is nobody's, and the process must be made known again
    assert hands.settle(claimed) is False
    assert not get_broker().renew([hands.worker], 60).alive
    assert [job.id.hex for job in Hands(get_broker()).claim()] == [RESTORED]


def test_what_the_old_file_left_beside_is_not_read_into_the_new_one(place: Place) -> None:
    hands = Hands(get_broker())
    for _ in range(20):
        hands.push()
    assert place.beside() == {"db.sqlite3-wal", "db.sqlite3-shm"}
    place.restore(job=RESTORED)
    assert [job.id.hex for job in Hands(get_broker()).claim()] == [RESTORED]
    close_obsolete_connections()
    assert [job.id.hex for job in Job.objects.all()] == [RESTORED]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        assert cursor.fetchone() == ("ok",)


@pytest.mark.parametrize("look_again", [close_obsolete_connections, lambda: request_started.send(None)])
def test_djangos_connection_goes_over_too(place: Place, look_again: object) -> None:
    assert Job.objects.count() == 0
    place.restore(job=RESTORED)
    assert Job.objects.count() == 0
    look_again()  # type: ignore[operator]
    assert Job.objects.count() == 1


def test_once_the_broker_has_noticed_a_threads_connection_is_obsolete(place: Place) -> None:
    hands = Hands(get_broker())
    assert Job.objects.count() == 0
    place.restore(job=RESTORED)
    hands.new_worker()
    connection.close_if_unusable_or_obsolete()
    assert Job.objects.count() == 1


def test_a_file_that_is_away_is_an_error_until_another_is_there(place: Place) -> None:
    hands = Hands(get_broker())
    place.path.unlink()
    with pytest.raises(BrokerAway, match="is gone"):
        hands.new_worker()
    assert not place.path.exists()
    place.restore(job=RESTORED)
    assert [job.id.hex for job in Hands(get_broker()).claim()] == [RESTORED]


def test_a_log_that_belongs_to_the_new_file_stays(place: Place) -> None:
    hands = Hands(get_broker())
    place.restore()
    for side in ("-wal", "-shm"):
        os.rename(f"{place.path}{side}", f"{place.path}-old{side}")
    new = sqlite3.connect(place.path, isolation_level=None)
    new.execute("PRAGMA journal_mode = WAL")
    new.execute("INSERT INTO jobs_clockjump (noticed_at, ahead, jobs) VALUES ('2026-01-01 00:00:00', 1.5, 7)")
    hands.new_worker()
    assert new.execute("SELECT count(*) FROM jobs_process").fetchone() == (1,)
    close_obsolete_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT jobs FROM jobs_clockjump")
        assert cursor.fetchall() == [(7,)]
    new.close()


def test_of_a_database_that_is_deleted_nothing_is_left_beside(place: Place) -> None:
    Hands(get_broker()).push()
    connection.close()
    place.path.unlink()
    get_broker().close()
    # what a test run's processes leave that were killed
    for side in ("-wal", "-shm"):
        place.path.with_name(f"db_1.sqlite3{side}").touch()
    remove_orphans()
    assert place.beside() == set()


def test_who_waits_for_a_result_looks_into_the_new_file(place: Place) -> None:
    job = Hands(get_broker()).push()
    assert look([job])[job].state == "queued"
    place.restore()
    close_obsolete_connections()
    assert look([job])[job].state == ""
