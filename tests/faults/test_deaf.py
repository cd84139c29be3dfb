"""A job that is past its time and cannot be stopped keeps neither the others nor, with many of its kind, the queue."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from .harness import Site, is_of_site, wait_for
from .ledger import check_ledger

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)]


def test_another_thread_takes_its_place_and_in_the_end_another_worker(make_site: Callable[..., Site]) -> None:
    site = make_site(FAULTS_ISOLATED="1")
    pipe = site.folder / "pipe"
    os.mkfifo(pipe)
    huey = site.run_huey("--queue", "work", "--concurrency", "work=1")
    held = site.enqueue(f"deaf.enqueue('{pipe}')")
    other = site.enqueue("nap.enqueue()")
    wait_for(lambda: site.job(other)["state"] == "completed")
    assert site.job(held)["state"] == "active"
    assert huey.count(f"past_timeout id={str(held)[:8]}") == 1
    assert ", in deaf" in huey.log

    # as many as it has threads: another one takes over, and it leaves when its job has ended
    wait_for(lambda: len(huey.started("work/1")) == 2 and huey.count("worker_started") == 2)
    first = huey.started("work/1")[0]
    again = site.enqueue("nap.enqueue()")
    wait_for(lambda: site.job(again)["state"] == "completed")
    assert site.ledger("end")[-1].pid == huey.child("work/1")
    assert is_of_site(first, site)
    wait_for(lambda: "jobs_past_timeout" in codes(site))
    pipe.write_text("heard")
    wait_for(lambda: site.job(held)["state"] == "completed")
    assert site.rows("SELECT result FROM jobs_job WHERE id = ?", held) == [('"heard"',)]
    assert {name: site.job(held)[name] for name in ("attempts", "starts", "lost")} == {
        "attempts": 1,
        "starts": 1,
        "lost": 0,
    }
    wait_for(lambda: not is_of_site(first, site))
    assert "jobs_past_timeout" not in codes(site)
    check_ledger(site)


def codes(site: Site) -> set[str]:
    report = json.loads(site.manage("jobs", "status", "--json").stdout)
    return {finding["code"] for finding in report["findings"]}
