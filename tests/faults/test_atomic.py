"""An atomic task changes the data exactly once, wherever its process is killed (G3)."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.servers import RedisServer

from .harness import LONG, Site, is_stopped, wait_for
from .ledger import check_ledger

HOMES = [("sqlite", "rows"), ("postgresql", "rows"), ("sqlite", "redis"), ("postgresql", "redis")]
ON_REDIS = [home for home in HOMES if home[1] == "redis"]
everywhere = pytest.mark.parametrize(("make_site", "broker"), HOMES, indirect=True)
on_redis = pytest.mark.parametrize(("make_site", "broker"), ON_REDIS, indirect=True)

POINTS = [
    *("claim.before", "claim.before_commit", "claim.after_commit", "execute.before", "atomic.after_begin"),
    *("atomic.before_settle", "atomic.before_commit", "atomic.after_commit", "settle.before", "settle.after_commit"),
]
#: On PostgreSQL a claim from a queue without limits is one statement, on Redis each claim. Rows settle with the task.
NOT_ON = {
    "sqlite": {"settle.before", "settle.after_commit"},
    "postgresql": {"claim.before_commit", "settle.before", "settle.after_commit"},
    "redis": {"claim.before_commit"},
}


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[RedisServer | None]:
    if request.param == "rows":
        yield None
        return
    server = RedisServer.create()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def site(make_site: Callable[..., Site], broker: RedisServer | None) -> Site:
    return make_site(FAULTS_REDIS=broker.url()) if broker else make_site()


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(10, id="10-rounds"),
        pytest.param(25, id="25-rounds", marks=pytest.mark.slow),
        pytest.param(200, id="200-rounds", marks=LONG),
    ],
)
@everywhere
def test_atomic_task_killed_in_every_round_counts_each_of_them_once(
    site: Site, broker: RedisServer | None, chance: random.Random, rounds: int
) -> None:
    site.arm()
    console = site.console()
    home = "redis" if broker else "postgresql" if site.on_postgresql else "sqlite"
    points = [point for point in POINTS if point not in NOT_ON[home]]
    site.run_huey("--queue", "work", "--processes", "work=3", "--concurrency", "work=1", FAULTS_RESTART_PAUSE="0.05")
    accepted: list[str] = []
    killed = Counter[str]()
    to_come: list[str] = []
    for done in range(1, rounds + 1):
        to_come = to_come or chance.sample(points, len(points))
        point = to_come.pop()
        site.set_trap("worker", point)
        accepted.append(console.ask("count.enqueue()"))
        wait_for(lambda point=point: site.is_sprung("worker", point), what=f"a worker passed {point}")
        killed[point] += 1
        wait_for(lambda done=done: site.states("work")["completed"] == done, what=f"{done} jobs completed: {point}")
    print(f"killed at {dict(killed)}")
    check_ledger(site, accepted)
    assert site.counter() == rounds


# on SQLite a transaction that sleeps lets nobody write, and then no keeper blames anybody
@pytest.mark.parametrize(
    ("make_site", "broker", "point"),
    [
        *((*home, point) for home in ON_REDIS for point in ("execute.before", "settle.before")),
        *(("postgresql", "redis", point) for point in ("atomic.after_begin", "atomic.before_commit")),
    ],
    indirect=["make_site", "broker"],
)
@pytest.mark.slow
def test_worker_that_sleeps_through_its_lease_and_its_successor_count_once(
    site: Site, make_site: Callable[..., Site], point: str
) -> None:
    site.arm()
    site.environment["FAULTS_LEASE"] = "1"
    console = site.console()
    first = site.run_huey("--queue", "work", "--processes", "work=1", "--concurrency", "work=1")
    site.set_trap("worker", point, "stop")
    accepted = console.ask("count.enqueue()")
    sleeper = first.child("work/1")
    wait_for(lambda: is_stopped(sleeper), what=f"the worker stopped at {point}")
    # nobody kills it: its supervisor sleeps too
    first.process.send_signal(signal.SIGSTOP)
    second = site.run_huey("--queue", "work", "--processes", "work=1", "--concurrency", "work=1")
    if point in ("execute.before", "settle.before"):
        wait_for(lambda: site.states("work")["completed"], what=second.log_path)
    else:
        # the first one's transaction is open: the other one waits for it
        wait_for(lambda: "job_postponed" in second.log, what=second.log_path)
    for pid in (sleeper, first.pid):
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: site.states("work")["completed"], what=second.log_path)
    check_ledger(site, [accepted])
    assert site.counter() == 1


@pytest.mark.slow
@on_redis
def test_redis_wiped_between_commit_and_settle_counts_once(site: Site, broker: RedisServer) -> None:
    site.arm()
    console = site.console()
    huey = site.run_huey("--queue", "work", "--processes", "work=1", "--concurrency", "work=1")
    accepted = [console.ask("count_in_transaction()")]
    wait_for(lambda: site.states("work")["completed"] == 1, what=huey.log_path)
    site.set_trap("worker", "atomic.after_commit", "stop")
    accepted.append(console.ask("count_in_transaction()"))
    sleeper = huey.child("work/1")
    wait_for(lambda: is_stopped(sleeper), what="the worker stopped behind its COMMIT")
    with redis.Redis.from_url(broker.url()) as client:
        client.flushall()
    os.kill(sleeper, signal.SIGCONT)
    wait_for(lambda: site.states("work")["completed"] == 2, what=huey.log_path)
    assert site.counter() == 2
    check_ledger(site, accepted)
