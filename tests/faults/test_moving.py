"""Jobs in flight move to Redis by REDIS_URL, while processes live that do not know it yet (DESIGN: Recovery)."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterator

import pytest

from tests.servers import RedisServer

from .harness import Site, some_time, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.slow

on_both = pytest.mark.parametrize(
    "make_site", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
QUEUES = ("--queue", "work", "--queue", "paced")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer.create(appendonly="yes")
    server.start()
    yield server
    server.remove()


def starts_in_a_second(site: Site) -> int:
    """The most starts of `step` in any second."""
    at = sorted(line.at for line in site.ledger() if line.queue == "paced")
    return max((sum(first <= other < first + 1.0 for other in at) for first in at), default=0)


@on_both
def test_old_processes_go_on_beside_new_ones_and_nothing_is_lost_or_runs_twice(
    site: Site, server: RedisServer, chance: random.Random
) -> None:
    url = server.url()
    old_console, new_console = site.console(), site.console(FAULTS_REDIS=url)
    old = site.run_huey(*QUEUES)
    accepted = old_console.ask("nap.enqueue_many([0.05] * 200) + step.enqueue_many([()] * 30)")
    accepted += old_console.ask("[nap.enqueue(2) for _ in range(3)] + [count.enqueue() for _ in range(5)]")
    wait_for(lambda: len(site.ledger("end")) > 20, what=old.log_path)
    new = site.run_huey(*QUEUES, wait=False, FAULTS_REDIS=url)
    for _ in range(4):
        # web processes of both kinds
        accepted += old_console.ask("nap.enqueue_many([0.01] * 10) + [count.enqueue()]")
        accepted += old_console.ask("[sell() for _ in range(3)]")
        accepted += new_console.ask("nap.enqueue_many([0.01] * 10) + [count.enqueue()]")
        accepted += new_console.ask("[sell() for _ in range(3)]")
        some_time(chance, 1.0)
    wait_for(lambda: "child_started keeper" in new.log, what=new.log_path)
    before = len(site.ledger())
    wait_for(
        lambda: site.states("work")["completed"] + site.states("paced")["completed"] == len(accepted), what=new.log
    )
    assert len(site.ledger()) > before or before == len(accepted)
    # the old ones are stopped last, as in a rolling deploy
    assert old.stop() == 0
    assert site.counter() == 5 + 8
    assert starts_in_a_second(site) <= 10
    check_ledger(site, accepted)
    assert any(int(line.pid) in new.started("work/1") for line in site.ledger())


@on_both
def test_old_worker_killed_in_the_midst_of_the_move_loses_nothing(
    site: Site, server: RedisServer, chance: random.Random
) -> None:
    old = site.run_huey("--queue", "work")
    accepted = site.enqueue("nap.enqueue_many([0.1] * 150)")
    wait_for(lambda: len(site.ledger("end")) > 10, what=old.log_path)
    new = site.run_huey("--queue", "work", FAULTS_REDIS=server.url())
    some_time(chance, 0.5)
    # the whole of it at once, so that nobody gives its jobs back
    for pid in (old.pid, *old.children()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    old.process.wait()
    wait_for(lambda: site.states("work")["completed"] == 150, what=new.log_path)
    check_ledger(site, accepted)


MOVES = ("move.left", "move.before_commit", "move.after_commit", "move.opened")


@on_both
def test_round_trip_under_load_with_the_command_killed_at_every_point(
    site: Site, server: RedisServer, chance: random.Random
) -> None:
    site.arm()
    url = server.url()
    old_console, new_console = site.console(), site.console(FAULTS_REDIS=url)
    first = site.run_huey("--queue", "work")
    accepted = old_console.ask("nap.enqueue_many([0.02] * 100)")
    there = site.run_huey("--queue", "work", FAULTS_REDIS=url)
    accepted += new_console.ask("nap.enqueue_many([0.02] * 700) + [sell() for _ in range(20)]")
    accepted += new_console.ask("[count.enqueue() for _ in range(5)] + [nap.using(delay=20).enqueue()]")
    assert first.stop() == 0
    wait_for(lambda: len([line for line in site.ledger() if line.pid in there.started("work/1")]) > 20, what=there.log)
    # back: the processes on Redis go on, and one on the database begins
    back = site.run_huey("--queue", "work")
    assert "left_behind queue=work" in back.log
    far: list[str] = []
    for point in MOVES:
        # however fast the others are worked, one is there to be moved
        far += new_console.ask("[nap.using(delay=3600).enqueue()]")
        site.set_trap("caller", point)
        done = site.manage("jobs", "move", "--from", url)
        assert site.is_sprung("caller", point), (point, done.stderr)
        assert done.returncode == -signal.SIGKILL
        accepted += new_console.ask("nap.enqueue_many([0.01] * 3) + [sell()] + [count.enqueue()]")
        accepted += old_console.ask("nap.enqueue_many([0.01] * 3) + [sell()] + [count.enqueue()]")
    done = site.manage("jobs", "move", "--from", url)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    accepted += new_console.ask("nap.enqueue_many([0.01] * 3) + [sell()] + [count.enqueue()]")
    some_time(chance, 1.0)
    assert there.stop() == 0
    wait_for(lambda: site.states("work")["completed"] == len(accepted), what=f"{len(accepted)}: {back.log_path}")
    site.cancel(*far)
    check_ledger(site, [*accepted, *far])
    assert site.counter() == 5 + 4 * 2 + 1
