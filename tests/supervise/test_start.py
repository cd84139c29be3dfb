from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings

from jobs import clock
from jobs.broker import forget_broker
from jobs.broker.database.sqlite import connection as jobs_connection
from jobs.broker.records import ProcessRecord
from jobs.checks import check_jobs, network_file_system
from jobs.supervise.start import CannotStart, check_configuration, check_database

MOUNTS = """\
22 1 254:0 / / rw,noatime shared:1 - ext4 /dev/vda rw
30 22 0:31 / /srv/share rw shared:2 - nfs4 files:/share rw
31 30 254:1 / /srv/share/local\\040disk rw shared:3 - ext4 /dev/vdb rw
32 22 0:40 / /home/me/mnt rw - fuse.sshfs me@host:/ rw
33 22 0:41 / /work rw - virtiofs work rw
34 33 0:42 / /work rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/db.sqlite3", ""),
        ("/srv/share/db.sqlite3", "nfs4"),
        ("/srv/shared/db.sqlite3", ""),
        ("/srv/share/local disk/db.sqlite3", ""),
        ("/home/me/mnt/db.sqlite3", "fuse.sshfs"),
        ("/work/db.sqlite3", ""),  # the later mount lies on top
    ],
)
def test_network_file_system_is_that_of_the_innermost_mount(path: str, kind: str) -> None:
    assert network_file_system(Path(path), MOUNTS) == kind


@pytest.mark.sqlite
def test_database_on_a_network_file_system_is_refused_unless_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:31 / / rw - cifs //files/share rw\n")
    monkeypatch.setattr("jobs.checks.MOUNTS", mounts)
    with pytest.raises(CannotStart, match=r"lies on a network file system \(cifs\)"):
        check_configuration()
    with override_settings(JOBS={"QUEUES": "config.queues", "ALLOW_NETWORK_FILE_SYSTEM": True}):
        check_configuration()


@pytest.mark.sqlite
def test_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    assert [message.id for message in check_jobs()] == ["jobs.E002"]


@pytest.mark.parametrize("url", ["ftp://localhost/0", "localhost:6379", "redis://:se/cret@localhost/0"])
def test_a_wrong_redis_url_is_an_error_of_the_system_checks(url: str) -> None:
    forget_broker()
    with override_settings(JOBS={"QUEUES": "config.queues", "REDIS_URL": url}):
        (message,) = check_jobs()
    forget_broker()
    assert message.id == "jobs.E001"
    assert "settings.JOBS['REDIS_URL'] is no address of a Redis server" in str(message.msg)
    assert "se/cret" not in str(message.msg)


@pytest.mark.sqlite
def test_deferred_transactions_are_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert [message.id for message in check_jobs()] == ["jobs.W001"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite
def test_database_that_stays_locked_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_connection, "LOCK_TIMEOUT", 0.1)
    forget_broker()
    holder = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(CannotStart, match="has been locked by another process for too long"):
            check_database(ProcessRecord(clock.new_id(), "supervisor", "", "host", 1))
    finally:
        holder.close()
        forget_broker()
