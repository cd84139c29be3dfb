"""Isolated jobs: each runs in a process of its own, which dies at its time, with all that it started, and alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .app.programs import WAYS, running
from .harness import Huey, Site, is_of_site, parent_of, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)
MakeSite = Callable[..., Site]


def error_of(site: Site, job: str) -> str:
    """The error of a job's last attempt."""
    wait_for(lambda: site.rows("SELECT 1 FROM jobs_attempt WHERE job_id = ? AND error <> ''", job))
    return str(site.rows("SELECT error FROM jobs_attempt WHERE job_id = ? ORDER BY id DESC", job)[0][0])


def trace_of(site: Site, job: str) -> str:
    return str(site.rows("SELECT traceback FROM jobs_attempt WHERE job_id = ? ORDER BY id DESC", job)[0][0])


def runners(site: Site, huey: Huey) -> list[int]:
    """The processes below its worker."""
    worker = huey.child("work/1")
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and parent_of(int(entry.name)) == worker and is_of_site(int(entry.name), site)
    ]


def test_a_killed_worker_takes_its_runners_and_all_they_started_along(site: Site) -> None:
    huey = site.run_huey("--queue", "work")
    mark = f"9{time.time_ns() % 10**7}.5"
    job = site.enqueue(f"alone_launch_once.enqueue({sorted(WAYS)}, '{mark}')")
    wait_for(lambda: (site.folder / "launched").exists())
    first = runners(site, huey)
    assert first

    os.kill(huey.child("work/1"), signal.SIGKILL)
    wait_for(lambda: site.job(job)["state"] == "completed")
    assert site.rows("SELECT result FROM jobs_job WHERE id = ?", job) == [("[]",)]
    assert running(mark) == []
    assert not any(is_of_site(pid, site) for pid in first)
    assert site.job(job)["lost"] == 1
    check_ledger(site)


def test_a_job_past_its_time_is_killed_with_all_it_started_and_the_others_go_on(site: Site) -> None:
    huey = site.run_huey("--queue", "work")
    mark = f"9{time.time_ns() % 10**7}.5"
    job = site.enqueue(f"alone_launch.enqueue({sorted(WAYS)}, '{mark}')")
    matched = site.enqueue("alone_match.enqueue()")
    other = site.enqueue("alone_nap.enqueue(4)")
    wait_for(lambda: {site.job(one)["state"] for one in (job, matched, other)} == {"failed", "completed"})
    assert running(mark) == []
    assert error_of(site, job) == "OutOfTime: killed after 2 s, its timeout"
    assert ", in alone_launch\n" in trace_of(site, job)
    # one that holds the interpreter as well
    assert error_of(site, matched) == "OutOfTime: killed after 1 s, its timeout"
    assert ", in alone_match\n" in trace_of(site, matched)
    assert site.job(job)["lost"] == site.job(matched)["lost"] == 0
    assert len(huey.started("work/1")) == 1
    check_ledger(site)
