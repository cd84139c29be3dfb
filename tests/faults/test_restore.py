"""A SQLite file that a restore puts another one in the place of, under `run_huey`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from .harness import Site, wait_for

MakeSite = Callable[..., Site]

pytestmark = pytest.mark.parametrize("make_site", ["sqlite"], indirect=True)


@pytest.mark.slow
def test_restored_file_is_worked_on_at_once_by_everybody(make_site: MakeSite) -> None:
    site = make_site(JOBS_LEASE="3")
    again = site.enqueue("nap.enqueue(0)")
    backup = site.folder / "backup.sqlite3"
    source, target = sqlite3.connect(site.database), sqlite3.connect(backup)
    source.backup(target)
    for connection in (source, target):
        connection.close()
    console = site.console()
    huey = site.run_huey()
    wait_for(lambda: site.job(again)["state"] == "completed")
    console.ask("nap.enqueue(0)")
    backup.rename(site.database)
    # who looked before would read what the old file left beside
    wait_for(lambda: "database_replaced" in huey.log)
    # in the restored file it has not run yet
    wait_for(lambda: site.job(again)["state"] == "completed")
    assert len(site.starts(again)) == 2
    # a process of the site that keeps its connection, the workers' own leases, the keeper and its duties
    wait_for(lambda: site.rows("SELECT count(*) FROM jobs_process WHERE kind = 'worker'")[0][0] >= 1)
    wait_for(lambda: site.rows("SELECT count(*) FROM jobs_process WHERE kind = 'keeper' AND duties_at > started_at"))
    new = site.enqueue("nap.enqueue(0)")
    wait_for(lambda: site.job(new)["state"] == "completed")
    assert site.rows("PRAGMA integrity_check") == [("ok",)]
    # the old file's history is gone with it: there is nothing to hold the ledger against
    site.is_checked = True
