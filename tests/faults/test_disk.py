"""SQLite with a full disk, and with somebody who reads for long (G1, G2)."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import cannot_be_had

from .harness import Site, wait_for
from .ledger import check_ledger, wait_until_ended

MakeSite = Callable[..., Site]

pytestmark = pytest.mark.parametrize("make_site", ["sqlite"], indirect=True)
MEBIBYTE = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB; the test is skipped, and under CI fails, where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        cannot_be_had(f"no small disk: mounting a tmpfs failed ({done.stderr.strip()}); run as root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


class _Filler:
    """Takes all the room that there is, and gives it back."""

    def __init__(self, place: Path) -> None:
        self._path = place / "filler"

    def fill(self) -> None:
        with self._path.open("ab", buffering=0) as file:
            for size in (64 * 1024, 4096, 1):
                try:
                    while True:
                        file.write(b"\1" * size)
                except OSError:
                    continue

    def make_room(self) -> None:
        self._path.unlink()


@pytest.mark.slow
def test_full_disk_refuses_new_jobs_clearly_loses_none_and_work_goes_on_when_there_is_room(
    make_site: MakeSite, small_disk: Path
) -> None:
    site = make_site(FAULTS_DATABASE=f"sqlite:///{small_disk}/jobs.sqlite3", FAULTS_LEASE="6")
    site.move_database(small_disk)
    filler = _Filler(small_disk)
    console = site.console()
    huey = site.run_huey("--queue", "work", "--concurrency", "work=3")
    accepted = console.ask("nap.enqueue_many([0.2] * 30) + [count.enqueue() for _ in range(5)]")
    wait_for(lambda: len(site.ledger("end")) > 3)
    filler.fill()

    refusals = []
    for _ in range(200):
        answer = console.ask("attempt(nap.enqueue_many, [0.0] * 50)")
        if "error" in answer:
            refusals.append(answer["error"])
            break
        accepted += answer["value"]
    assert refusals, "the disk is full, and all is taken"
    assert "BrokerUnavailable" in refusals[0]
    assert "disk is full" in refusals[0]
    assert "error" in console.ask("attempt(sell)")
    # longer than a lease: nobody can renew, and nobody is to blame for it
    time.sleep(8)
    assert huey.process.poll() is None
    filler.make_room()

    sold = wait_for(lambda: console.ask("attempt(sell)").get("value"), what="a job is taken again")
    accepted.append(sold)
    check_ledger(site, accepted)
    assert site.counter() == 5
    assert site.rows("SELECT sum(lost) FROM jobs_job") == [(0,)]
    assert site.rows("PRAGMA integrity_check") == [("ok",)]
    assert "broker_answers_again" in huey.log
    assert huey.count("child_ended") == 0


@pytest.mark.slow
def test_log_that_a_long_reader_lets_grow_is_cut_off_when_it_has_left(site: Site) -> None:
    console = site.console()
    log = site.database.with_name("jobs.sqlite3-wal")
    huey = site.run_huey("--queue", "work")
    accepted = console.ask("nap.enqueue_many([0.0] * 10)")
    reader = sqlite3.connect(site.database, isolation_level=None)
    reader.execute("BEGIN")
    (before,) = reader.execute("SELECT count(*) FROM jobs_job").fetchone()
    began = time.monotonic()
    while _size(log) < 40 * MEBIBYTE and time.monotonic() < began + 60:
        accepted += console.ask("nap.enqueue_many([0.0] * 500)")
        wait_until_ended(site)
    grown = _size(log)
    assert reader.execute("SELECT count(*) FROM jobs_job").fetchone() == (before,)
    reader.execute("COMMIT")
    reader.close()
    assert grown >= 40 * MEBIBYTE

    # the work does not stop for it
    left = time.monotonic()
    while "log_cut_off" not in huey.log and time.monotonic() < left + 60:
        accepted += console.ask("nap.enqueue_many([0.0] * 20)")
        wait_for(lambda: site.states("work")["queued"] < 100)
    assert "log_cut_off" in huey.log
    assert _size(log) < 32 * MEBIBYTE
    print(
        f"{len(accepted)} jobs; the log grew to {grown / MEBIBYTE:.0f} MiB, short {time.monotonic() - left:.0f} s later"
    )
    check_ledger(site, accepted)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
