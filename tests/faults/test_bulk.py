"""Several jobs in one call, whose worker dies or stops in the middle: each of them is lost, or goes back, by itself."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import pytest

from .harness import Site, some_time, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)

MakeSite = Callable[..., Site]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_jobs_of_a_call_that_was_cut_off_all_run_again(make_site: MakeSite, how: str, chance: random.Random) -> None:
    site = make_site(FAULTS_GRACE="1", FAULTS_LEASE="20")
    huey = site.run_huey("--queue", "work")
    jobs = site.enqueue("nap_in_bulk_at_first.enqueue_many([90] * 7)")
    wait_for(lambda: all(site.starts(job) for job in jobs))
    some_time(chance)
    if how == "killed":
        os.kill(huey.child("work/1"), signal.SIGKILL)
    else:
        assert huey.stop() == 0
        site.run_huey("--queue", "work")

    wait_for(lambda: all(site.job(job)["state"] == "completed" for job in jobs))
    expected = {"attempts": 1, "starts": 2, "lost": 1 if how == "killed" else 0}
    assert [{key: site.job(job)[key] for key in expected} for job in jobs] == [expected] * 7
    check_ledger(site)
