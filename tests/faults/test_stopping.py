"""What a stop does to running jobs, and to the children (G10)."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from .harness import Site, is_of_site, some_time, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)

MakeSite = Callable[..., Site]


@pytest.mark.slow
def test_stop_finishes_what_runs_and_exits_with_0(site: Site, chance: random.Random) -> None:
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("nap.enqueue(4.0)")
    wait_for(lambda: site.starts(job))
    later = site.enqueue("nap.using(delay=5).enqueue()")
    some_time(chance)

    assert huey.stop(signal.SIGINT) == 0
    assert site.job(job)["state"] == "completed"
    assert site.job(later)["state"] == "queued"
    assert site.processes() == 0
    site.run_huey("--queue", "work")
    check_ledger(site)


@pytest.mark.slow
def test_jobs_longer_than_the_grace_time_start_again_within_2_s_with_their_attempt(
    make_site: MakeSite, chance: random.Random
) -> None:
    # neither the end of a job nor that of a lease comes before the stop, however long the other takes to start
    site = make_site(FAULTS_GRACE="1", FAULTS_LEASE="20")
    console, runs = site.console(), site.run_huey("--queue", "work")
    for number in (1, 2, 3):  # a busy machine makes them late
        jobs = console.ask("nap_at_first.enqueue_many([90, 90, 90])")
        wait_for(lambda jobs=jobs: all(site.starts(job) for job in jobs))
        stops, runs = runs, site.run_huey("--queue", "work")
        some_time(chance)

        assert stops.stop() == 0
        stopped = time.time()
        wait_for(lambda jobs=jobs: all(site.job(job)["state"] == "completed" for job in jobs))
        again = [site.starts(job)[1].at - stopped for job in jobs]
        print(f"started again {min(again):+.2f} to {max(again):+.2f} s after the stop was over")
        for job in jobs:
            assert {key: site.job(job)[key] for key in ("attempts", "starts", "lost")} == {
                "attempts": 1,
                "starts": 2,
                "lost": 0,
            }
        outcomes = site.rows("SELECT outcome FROM jobs_attempt ORDER BY outcome")
        assert outcomes == [("completed",)] * 3 * number + [("interrupted",)] * 3 * number
        if max(again) < 2:
            break
    assert max(again) < 2
    check_ledger(site)


@pytest.mark.slow
def test_second_ctrl_c_ends_it_now_and_gives_the_jobs_back(make_site: MakeSite, chance: random.Random) -> None:
    site = make_site(FAULTS_GRACE="60")
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("nap_at_first.enqueue(90)")
    wait_for(lambda: site.starts(job))
    some_time(chance)
    huey.process.send_signal(signal.SIGINT)
    wait_for(lambda: "stopping" in huey.log)

    began = time.monotonic()
    assert huey.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 20
    assert {key: site.job(job)[key] for key in ("state", "attempts", "lost")} == {
        "state": "queued",
        "attempts": 0,
        "lost": 0,
    }
    site.run_huey("--queue", "work")
    check_ledger(site)


@pytest.mark.slow
def test_sigterm_to_a_worker_drains_it_and_another_takes_its_place(site: Site, chance: random.Random) -> None:
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("nap.enqueue(1)")
    wait_for(lambda: site.starts(job))
    some_time(chance)
    os.kill(huey.child("work/1"), signal.SIGTERM)
    wait_for(lambda: len(huey.started("work/1")) == 2)

    assert site.job(job)["state"] == "completed"
    assert len(site.starts(job)) == 1
    check_ledger(site)


@pytest.mark.slow
def test_children_of_a_killed_supervisor_finish_their_jobs_and_go(make_site: MakeSite, chance: random.Random) -> None:
    site = make_site(FAULTS_LEASE="1")
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("nap.enqueue(3)")
    wait_for(lambda: site.starts(job))
    children = huey.children()
    assert len(children) == 2
    some_time(chance)
    huey.process.kill()
    huey.process.wait()

    # the worker keeps its lease three times its length without a supervisor
    other = site.run_huey("--queue", "other")
    wait_for(lambda: not any(is_of_site(pid, site) for pid in children))
    assert {key: site.job(job)[key] for key in ("state", "lost")} == {"state": "completed", "lost": 0}
    assert other.process.poll() is None
    check_ledger(site)


@pytest.mark.slow
def test_children_of_a_killed_supervisor_never_outlive_the_grace_time(
    make_site: MakeSite, chance: random.Random
) -> None:
    site = make_site(FAULTS_GRACE="1")
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("nap_at_first.enqueue(90)")
    wait_for(lambda: site.starts(job))
    children = huey.children()
    some_time(chance)
    huey.process.kill()
    huey.process.wait()

    wait_for(lambda: not any(is_of_site(pid, site) for pid in children), 60)
    assert site.job(job)["state"] != "completed"
    site.run_huey("--queue", "work")
    check_ledger(site)
