"""Jobs that must run alone (G2): one child takes one after the other, as long as they end well."""

from __future__ import annotations

import signal

import pytest

from tests.faults.harness import Site, wait_for

pytestmark = pytest.mark.slow


def lose_twice(site: Site, *jobs: str) -> None:
    """As if each job had been lost with its worker twice."""
    for job in jobs:
        site.write("UPDATE jobs_job SET lost = 2, alone = ? WHERE id = ?", True, job)


def test_one_child_runs_all_that_must_run_alone_and_another_follows_a_bad_end(site: Site) -> None:
    jobs = site.enqueue("nap.enqueue_many([0.0] * 5)")
    bad = site.enqueue("play.using(priority=9).enqueue('unknown')")
    last = site.enqueue("nap.using(priority=10).enqueue()")
    lose_twice(site, *jobs, bad, last)
    huey = site.run_huey("--queue", "work")
    wait_for(lambda: site.job(last)["state"] == "completed")
    wait_for(lambda: site.job(bad)["state"] == "failed")

    runners = {site.starts(job)[0].pid for job in jobs}
    assert len(runners) == 1
    assert runners == {huey.started("work/alone")[0]}
    assert {line.pid for line in site.starts(last)} & set(huey.started("work/alone")) - runners
    assert huey.child("work/1") not in {line.pid for line in site.ledger()}
    assert "ERROR jobs.supervisor" not in huey.log
    assert huey.stop(signal.SIGTERM) == 0


def test_the_child_goes_when_nothing_must_run_alone_any_more(site: Site) -> None:
    job = site.enqueue("nap.enqueue()")
    lose_twice(site, job)
    huey = site.run_huey("--queue", "work")
    wait_for(lambda: site.job(job)["state"] == "completed")
    wait_for(lambda: "child_ended work/alone" in huey.log)
    assert "code=0" in next(line for line in huey.log.splitlines() if "child_ended work/alone" in line)
    assert len(huey.started("work/alone")) == 1
