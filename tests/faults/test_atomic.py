"""An atomic task changes the data exactly once, wherever its process is killed (G3)."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from .harness import LONG, Site, wait_for
from .ledger import check_ledger, has_live_jobs

pytestmark = pytest.mark.parametrize("make_site", ["sqlite", "postgresql"], indirect=True)

POINTS = [
    *("claim.before", "claim.before_commit", "claim.after_commit", "execute.before"),
    *("atomic.before_settle", "atomic.before_commit", "atomic.after_commit"),
]


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(7, id="7-rounds"),
        pytest.param(60, id="60-rounds", marks=pytest.mark.slow),
        pytest.param(200, id="200-rounds", marks=LONG),
    ],
)
def test_atomic_task_killed_in_every_round_counts_each_of_them_once(
    site: Site, chance: random.Random, rounds: int
) -> None:
    site.arm()
    console = site.console()
    # on PostgreSQL a claim from a queue without limits is one statement
    points = [point for point in POINTS if not (site.on_postgresql and point == "claim.before_commit")]
    site.run_huey("--queue", "work", "--processes", "work=3", "--concurrency", "work=1", FAULTS_RESTART_PAUSE="0.05")
    accepted: list[str] = []
    killed = Counter[str]()
    to_come: list[str] = []
    for _ in range(rounds):
        to_come = to_come or chance.sample(points, len(points))
        point = to_come.pop()
        site.set_trap("worker", point)
        accepted.append(console.ask("count.enqueue()"))
        wait_for(lambda point=point: site.is_sprung("worker", point), 30, f"a worker passed {point}")
        killed[point] += 1
        wait_for(lambda: not has_live_jobs(site), 30, "the job ended")
    print(f"killed at {dict(killed)}")
    check_ledger(site, accepted)
    assert site.counter() == rounds
