"""The engine's processes on Redis: whatever is killed, restarted or wiped, nothing accepted is lost (G1, G2)."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.servers import RedisServer

from .customer import Customer
from .harness import Huey, RedisSite, some_time, wait_for
from .ledger import check_ledger

QUEUES = ("--queue", "work", "--queue", "paced")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer.create(appendonly="yes", appendfsync="everysec")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def make_site(migrated: Path, tmp_path: Path, server: RedisServer) -> Iterator[Callable[..., RedisSite]]:
    """A site on a server of its own; a second one is called by another name."""
    made: list[RedisSite] = []

    def make(name: str = "site", **variables: str) -> RedisSite:
        (tmp_path / name).mkdir()
        made.append(RedisSite(tmp_path / name, migrated, server, **variables))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., RedisSite]) -> RedisSite:
    return make_site()


def kill(huey: Huey, post: str) -> None:
    """Kill the child that is in a post now; after a kill the post is empty for a while."""

    def strike() -> bool:
        try:
            os.kill(huey.started(post)[-1], signal.SIGKILL)
        except (IndexError, ProcessLookupError):
            return False
        return True

    wait_for(strike, what=post)


@pytest.mark.slow
def test_no_job_is_lost_when_workers_and_keepers_are_killed(site: RedisSite, chance: random.Random) -> None:
    hueys = [site.run_huey("--queue", "work") for _ in range(2)]
    accepted = site.enqueue("nap.enqueue_many([0.1] * 300)")
    for victim in chance.sample(["work/1", "work/1", "keeper"], 3):
        some_time(chance, 0.7)
        kill(chance.choice(hueys), victim)
    wait_for(lambda: site.states("work")["completed"] == 300, what=site.folder)
    check_ledger(site, accepted)


@pytest.mark.slow
def test_killed_supervisor_leaves_its_jobs_to_others_when_its_leases_have_ended(site: RedisSite) -> None:
    first = site.run_huey("--queue", "work")
    accepted = site.enqueue("nap.enqueue_many([0.2] * 100)")
    wait_for(site.ledger)
    second = site.run_huey("--queue", "work", wait=False)
    first.process.kill()
    first.process.wait()
    wait_for(lambda: site.states("work")["completed"] == 100, what=second.log_path)
    check_ledger(site, accepted)


@pytest.mark.parametrize(
    "how",
    [pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow), pytest.param(signal.SIGKILL, id="SIGKILL")],
)
@pytest.mark.slow
def test_workers_survive_a_restart_of_redis_and_go_on_by_themselves(
    site: RedisSite, server: RedisServer, how: signal.Signals
) -> None:
    site.run_huey(*QUEUES)
    accepted = site.enqueue("nap.enqueue_many([0.02] * 200) + step.enqueue_many([()] * 5)")
    wait_for(lambda: len(site.ledger("end")) > 50)
    server.stop(how)
    meanwhile = site.enqueue("nap.enqueue_many([0] * 20)")
    server.start()
    wait_for(lambda: site.states("work")["completed"] == 220, what=site.folder)
    check_ledger(site, [*accepted, *meanwhile])


@pytest.mark.slow
def test_redis_killed_again_and_again_under_load_loses_nothing_that_was_on_its_disk(
    site: RedisSite, server: RedisServer, chance: random.Random
) -> None:
    huey = site.run_huey(*QUEUES, "--processes", "work=2")
    with Customer(site.console()) as customer:
        for _ in range(3):
            time.sleep(chance.uniform(0.5, 1.5))
            server.stop(signal.SIGKILL)
            time.sleep(chance.uniform(0.0, 1.5))
            server.start()
            ended = len(site.ledger("end"))
            wait_for(lambda ended=ended: len(site.ledger("end")) > ended + 10)
    print(f"{len(customer.accepted)} accepted, longest call {customer.longest:.2f} s")
    # a killed process, unlike a machine, loses nothing of its file
    check_ledger(site, customer.accepted)
    assert customer.refused == 0
    assert site.rows("SELECT sum(lost) FROM jobs_job") == [(0,)]
    assert huey.count("child_ended") == 0


@pytest.mark.slow
def test_a_redis_that_hangs_under_load_costs_a_call_a_second_now_and_then_and_all_run_later_once(
    site: RedisSite, server: RedisServer
) -> None:
    huey = site.run_huey(*QUEUES)
    with Customer(site.console(), pause=0.05) as customer:
        wait_for(lambda: len(site.ledger("end")) > 20)
        hung, began = len(customer.took), time.monotonic()
        os.kill(server.process.pid, signal.SIGSTOP)
        wait_for(lambda: time.monotonic() > began + 12)
        os.kill(server.process.pid, signal.SIGCONT)
        took = [seconds for _at, seconds in customer.took[hung:]]
    slow = [round(seconds, 2) for seconds in took if seconds > 1.0]
    print(f"{len(took)} calls while it hung, slow ones: {slow}")
    # 1.5 s each, and what a busy machine adds; without the outbox, eight calls in those 12 s would all be slow
    assert max(slow) < 6
    assert len(slow) * 5 < len(took)
    assert len(took) > 20
    check_ledger(site, customer.accepted)
    assert customer.refused == 0
    assert set(Counter(line.job for line in site.ledger()).values()) == {1}
    assert huey.count("child_ended") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [pytest.param(signal.SIGTERM, id="SIGTERM"), pytest.param(signal.SIGKILL, id="SIGKILL", marks=pytest.mark.long)],
)
def test_of_two_run_huey_on_one_queue_one_is_stopped_under_load_and_no_job_runs_twice_for_it(
    site: RedisSite, chance: random.Random, how: signal.Signals
) -> None:
    console = site.console()
    stays = site.run_huey(*QUEUES)
    with Customer(console, ("lambda: nap.enqueue(0.05)", "sell", "lambda: nap.enqueue(0.2)"), 0.005) as customer:
        for _ in range(3):
            leaves = site.run_huey(*QUEUES)
            (worker,) = leaves.started("work/1")
            wait_for(lambda worker=worker: any(line.pid == worker for line in site.ledger()))
            some_time(chance)
            if how is signal.SIGTERM:
                assert leaves.stop() == 0
            else:
                os.kill(worker, how)
                wait_for(lambda leaves=leaves: len(leaves.started("work/1")) == 2)
                assert leaves.stop() == 0
    check_ledger(site, customer.accepted)
    runs = Counter(line.job for line in site.ledger())
    lost = dict(site.rows("SELECT id, lost FROM jobs_job"))
    print(f"{len(runs)} jobs, {sum(lost.values())} leases lost, {runs.total() - len(runs)} runs more")
    assert {job: count for job, count in runs.items() if count > 1 + lost[job]} == {}
    if how is signal.SIGTERM:
        assert runs.total() == len(runs)
        assert sum(lost.values()) == 0
    assert stays.count("child_ended") == 0


@pytest.mark.slow
def test_two_sites_on_one_server_never_see_each_others_jobs(make_site: Callable[..., RedisSite]) -> None:
    # one in another namespace, one in another database under the same name
    first = make_site("first", FAULTS_NAMESPACE="one")
    second = make_site("second", FAULTS_NAMESPACE="two")
    third = make_site("third", FAULTS_NAMESPACE="one", database=1)
    sites = {"first": first, "second": second, "third": third}
    accepted = {
        name: site.enqueue(f"nap.enqueue_many([0.01] * {20 + i})") for i, (name, site) in enumerate(sites.items())
    }
    # no worker of one's own takes another's: two work, and the third's jobs wait
    for site in (first, second):
        site.run_huey("--queue", "work")
    for name in ("first", "second"):
        check_ledger(sites[name], accepted[name])
    assert third.live("work").keys() == set(accepted["third"])
    assert third.ledger() == []
    third.run_huey("--queue", "work")
    check_ledger(third, accepted["third"])
    assert [site.processes() for site in sites.values()] == [3, 3, 3]


@pytest.mark.slow
def test_transactional_jobs_survive_a_wiped_redis(site: RedisSite, server: RedisServer) -> None:
    console = site.console()
    console.ask("nap.enqueue(0)")
    huey = site.run_huey(*QUEUES)
    wait_for(lambda: site.states("work")["completed"] == 1)
    huey.end()
    ids = [console.ask("sell()") for _ in range(200)]
    assert site.states("work")["queued"] == 200
    with redis.Redis.from_url(server.url()) as client:
        client.flushall()
    site.run_huey(*QUEUES)
    wait_for(lambda: site.states("work")["completed"] == 201, what=site.folder)
    runs = Counter(line.job for line in site.ledger())
    assert {runs[id] for id in ids} == {1}
    check_ledger(site)


@pytest.mark.slow
def test_status_of_a_healthy_site_on_redis_finds_nothing(site: RedisSite) -> None:
    site.run_huey()
    accepted = site.enqueue("nap.enqueue_many([0.01] * 20)")
    wait_for(lambda: site.states("work")["completed"] == 20)
    done = wait_for(lambda: (told := site.manage("jobs", "status", "--check")).returncode == 0 and told)
    assert "All is well." in done.stdout
    check_ledger(site, accepted)
