"""Isolated jobs: each runs in a process of its own, which dies at its time, with all that it started, and alone."""

from __future__ import annotations

import os
import re
import signal
import statistics
import time
from collections.abc import Callable

import pytest

from .app.programs import WAYS, running
from .harness import Huey, Site, is_of_site, parent_of, wait_for
from .ledger import check_ledger

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)]
MakeSite = Callable[..., Site]


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(FAULTS_ISOLATED="1")


def errors_of(site: Site, job: str) -> list[str]:
    """The errors of a job's attempts, in order."""
    return [
        error
        for (error,) in site.rows(
            "SELECT error FROM jobs_attempt WHERE job_id = ? AND outcome IN ('failed', 'completed') ORDER BY id", job
        )
    ]


def trace_of(site: Site, job: str, outcome: str = "failed") -> str:
    sql = "SELECT traceback FROM jobs_attempt WHERE job_id = ? AND outcome = ?"
    return str(site.rows(sql, job, outcome)[0][0])


def living(site: Site) -> list[int]:
    """All processes of the site."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_of_site(pid, site)]


def runners(site: Site, huey: Huey) -> list[int]:
    """The processes below its worker."""
    worker = huey.child("work/1")
    return [pid for pid in living(site) if parent_of(pid) == worker]


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
    assert errors_of(site, job) == ["OutOfTime: killed after 2 s, its timeout"]
    assert ", in alone_launch\n" in trace_of(site, job)
    # one that holds the interpreter as well
    assert errors_of(site, matched) == ["OutOfTime: killed after 1 s, its timeout"]
    assert ", in alone_match\n" in trace_of(site, matched)
    assert site.job(job)["lost"] == site.job(matched)["lost"] == 0
    assert len(huey.started("work/1")) == 1
    check_ledger(site)


def test_whatever_ends_a_job_is_told_as_what_it_was(site: Site) -> None:
    huey = site.run_huey("--queue", "work", "--concurrency", "work=2")
    console = site.console()
    ways = {way: console.ask(f"alone_leave.enqueue('{way}')") for way in ("exit", "crash", "kill")}
    ends = {way: console.ask(f"alone_end.enqueue('{way}')") for way in ("permanent", "later", "step", "cancel")}
    sizes = [console.ask(f"alone_hoard.enqueue({size})") for size in ("100", "900", "900, True")]
    slept, stuck = console.ask("alone_async.enqueue(0.01)"), console.ask("alone_async.enqueue(30)")
    wait_for(lambda: site.starts(ends["cancel"]))
    site.manage("jobs", "cancel", ends["cancel"])
    jobs = [*ways.values(), *ends.values(), *sizes, slept, stuck]
    wait_for(lambda: all(site.job(job)["state"] in ("completed", "failed", "cancelled") for job in jobs))

    assert {way: errors_of(site, job) for way, job in ways.items()} == {
        "exit": ["ProcessDied: its process ended with exit code 3 before the job did", ""],
        "crash": ["ProcessDied: its process was killed by SIGSEGV", ""],
        "kill": ["ProcessDied: its process was killed by SIGKILL; the system may have run out of memory", ""],
    }
    # an attempt failed; no worker was lost
    assert all(site.job(job)["attempts"] == 2 and site.job(job)["lost"] == 0 for job in ways.values())
    assert ", in alone_leave\n" in trace_of(site, ways["crash"], "failed")
    assert len(huey.started("work/1")) == 1
    assert errors_of(site, ends["permanent"]) == ["PermanentError: for good"]
    assert site.job(ends["permanent"])["attempts"] == 1
    assert site.job(ends["later"])["starts"] == 2
    assert site.job(ends["cancel"])["state"] == "cancelled"
    assert errors_of(site, ends["step"]) == ["OSError: again", ""]
    told = site.rows("SELECT done, total, text FROM jobs_jobprogress WHERE job_id = ?", ends["step"])
    assert told == [(1, 2, "half")]

    small, large, below = (errors_of(site, job) for job in sizes)
    assert small == [""]
    for (error,) in (large, below):
        used = int(re.fullmatch(r"OutOfMemory: killed: it used (\d+) MiB of memory, of 512 MiB .*", error)[1])
        assert 512 < used < 2048
    assert errors_of(site, slept) == [""]
    assert errors_of(site, stuck) == ["TimeoutError: not ended after the 0.5 s of its timeout"]

    # runners that die while they have nothing to do cost nobody an attempt
    for pid in runners(site, huey):
        os.kill(pid, signal.SIGKILL)
    later = console.ask("alone_nap.enqueue()")
    wait_for(lambda: site.job(later)["state"] == "completed")
    assert (site.job(later)["attempts"], site.job(later)["starts"]) == (1, 1)
    for _ in range(3):  # a busy machine makes them late
        began = [console.ask("alone_since_claim.enqueue().result(timeout=60)") for _ in range(15)]
        print(f"begun after their claim: {statistics.median(began) * 1000:.1f} ms")
        if statistics.median(began) <= 0.020:
            break
    assert statistics.median(began) <= 0.020
    site.accepted |= {id for (id,) in site.rows("SELECT id FROM jobs_job WHERE task = ?", "faults.alone_since_claim")}
    check_ledger(site)


def test_what_runs_ends_within_the_grace_time_or_goes_on_elsewhere(make_site: MakeSite) -> None:
    site = make_site(FAULTS_GRACE="3", FAULTS_ISOLATED="1")
    huey = site.run_huey("--queue", "work")
    console = site.console()
    short, walks, long = (
        console.ask(call)
        for call in ("alone_nap.enqueue(1.5)", "alone_walk.enqueue(1000)", "alone_nap_at_first.enqueue(600)")
    )
    wait_for(lambda: all(site.starts(job) for job in (short, walks, long)))
    for pid in runners(site, huey):  # as a service manager does
        os.kill(pid, signal.SIGTERM)
    assert huey.stop() == 0
    assert site.job(short)["state"] == "completed"
    assert {site.job(job)["state"] for job in (walks, long)} == {"queued"}
    assert site.processes() == 0
    console.end()
    assert living(site) == []
    site.run_huey("--queue", "work")
    wait_for(lambda: all(site.job(job)["state"] == "completed" for job in (walks, long)))
    assert [site.job(job)["attempts"] for job in (walks, long)] == [1, 1]
    items = (site.folder / f"items-{walks}").read_text().split()
    assert items == [str(number) for number in range(1000)]
    check_ledger(site)


def test_a_killed_supervisor_lets_what_runs_end(site: Site) -> None:
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("alone_nap.enqueue(3)")
    wait_for(lambda: site.starts(job))
    huey.process.kill()
    wait_for(lambda: site.job(job)["state"] == "completed")
    wait_for(lambda: not living(site))
    site.run_huey("--queue", "work")
    check_ledger(site)
