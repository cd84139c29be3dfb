"""Tasks that are `async def`, in a worker process."""

from __future__ import annotations

import time

import pytest

from .harness import Site, cpu_seconds, wait_for
from .ledger import check_ledger

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)]


def test_very_many_wait_at_once_and_cost_little(site: Site) -> None:
    # on PostgreSQL each thread may need a connection, as there are other tasks in that queue
    number = 60 if site.on_postgresql else 100
    huey = site.run_huey("--queue", "work", "--concurrency", f"work={number}")
    worker = huey.child("work/1")
    before, began = cpu_seconds(worker), time.monotonic()
    site.enqueue(f"wait_async.enqueue_many([3.0] * {number})")
    wait_for(lambda: len(site.ledger("end")) == number, what="all have waited")
    took, cost = time.monotonic() - began, cpu_seconds(worker) - before
    starts, ends = (sorted(line.at for line in site.ledger(word)) for word in ("start", "end"))
    print(f"{number} waits of 3 s: {ends[-1] - starts[0]:.2f} s, {cost:.2f} s of CPU")
    # all have begun before the first has ended
    assert starts[-1] < ends[0]
    assert cost < 1.2 * took
    check_ledger(site)


def test_a_forked_child_that_comes_back_ends_and_the_loop_goes_on(site: Site) -> None:
    huey = site.run_huey("--queue", "work")
    forked = site.enqueue("fork_async.enqueue()")
    waited = site.enqueue("wait_async.enqueue(0.01)")
    check_ledger(site, [forked, waited])
    assert site.rows("SELECT result FROM jobs_job WHERE id = ?", forked) == [("7",)]
    assert len(huey.started("work/1")) == 1
