"""A job that iterates goes on where it stood, whatever ends its worker."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from .harness import Site, some_time, wait_for
from .ledger import check_ledger

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)]

MakeSite = Callable[..., Site]
ITEMS = 300


def items(site: Site, job: str) -> list[int]:
    """Those that the job's starts have worked on, in order."""
    path = site.folder / f"items-{job}"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_stopping_worker_hands_an_iteration_on_between_two_items_and_a_killed_one_repeats_a_few(
    site: Site, chance: random.Random
) -> None:
    console, huey = site.console(), site.run_huey("--queue", "work")
    job = console.ask(f"walk.enqueue({ITEMS})")
    wait_for(lambda: len(items(site, job)) > 10)
    some_time(chance, 0.1)
    os.kill(huey.child("work/1"), signal.SIGTERM)
    wait_for(lambda: site.job(job)["state"] == "completed")
    assert items(site, job) == list(range(ITEMS))
    counts = {key: site.job(job)[key] for key in ("attempts", "starts", "lost")}
    assert counts == {"attempts": 1, "starts": 2, "lost": 0}
    assert site.rows("SELECT outcome FROM jobs_attempt ORDER BY id") == [("handed_back",), ("completed",)]

    killed = console.ask(f"walk.enqueue({ITEMS})")
    wait_for(lambda: len(items(site, killed)) > 60)
    some_time(chance, 0.1)
    os.kill(huey.child("work/1"), signal.SIGKILL)
    wait_for(lambda: site.job(killed)["state"] == "completed")
    seen = items(site, killed)
    again = [item for item, times in Counter(seen).items() if times > 1]
    assert sorted(set(seen)) == list(range(ITEMS))
    # the cursor is kept behind the first items, and every 50 ms: far less than half of what was done comes again
    assert len(again) < 60 / 2
    assert seen[: seen.index(max(again, default=0)) + 1] == list(range(max(again, default=0) + 1))
    assert site.job(killed)["lost"] == 1

    assert huey.stop() == 0
    progress = site.rows("SELECT done, total FROM jobs_jobprogress")
    assert progress == [(ITEMS, ITEMS)] * 2
    check_ledger(site)
