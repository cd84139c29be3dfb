"""What Redis loses or refuses while everything runs: no accepted job is lost with it, and none runs twice (G1, G4)."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.servers import RedisServer, need_redis, need_redis_of_the_wheel

from .harness import LONG, NET, Console, Site, is_stopped, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.slow

#: The place of the file that Redis 7 or 6.2 appends to.
FILES = ("*.incr.aof", "*.aof")


@pytest.fixture
def make_server() -> Iterator[Callable[..., RedisServer]]:
    """Starts a server of this program, with these settings."""
    made: list[RedisServer] = []

    def make(program: Path | None = None, **settings: str) -> RedisServer:
        made.append(RedisServer.create(program, **settings))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def server(make_server: Callable[..., RedisServer]) -> RedisServer:
    return make_server(appendonly="yes", appendfsync="always", **{"auto-aof-rewrite-percentage": "0"})


@pytest.fixture
def site(make_site: Callable[..., Site], server: RedisServer) -> Site:
    return make_site(FAULTS_REDIS=server.url(), FAULTS_LEASE="3")


def sell(site: Site, number: int, seconds: float = 0.0) -> list[str]:
    """Enqueue so many jobs, each in a transaction of its own."""
    ids = site.python(
        "from tests.faults.app.business import *\n"
        "from django.db import transaction\n"
        "def one():\n"
        "    with transaction.atomic():\n"
        f"        return nap.enqueue({seconds}).id.hex\n"
        f"print(json.dumps([one() for _ in range({number})]))"
    )
    site.told(ids)
    return list(ids)


def runs_once(site: Site, ids: list[str]) -> None:
    runs = Counter(line.job for line in site.ledger())
    assert {id: runs[id] for id in ids} == dict.fromkeys(ids, 1)


def wait_until_merged(site: Site, completed: int, limit: float = NET) -> None:
    wait_for(lambda: site.states("work")["completed"] >= completed, limit, f"{completed} completed in {site.folder}")


def test_row_that_a_relay_has_read_is_not_pushed_after_its_job_has_ended_and_is_forgotten(
    make_site: Callable[..., Site], server: RedisServer
) -> None:
    site = make_site(FAULTS_REDIS=server.url(), FAULTS_LEASE="60")
    site.arm()
    site.set_trap("caller", "enqueue.after_commit", "kill")
    site.python("from tests.faults.app.business import sell\nsell()", code_expected=-signal.SIGKILL)
    ((id,),) = site.rows("SELECT id FROM jobs_job WHERE state = 'pending'")
    site.told(id)
    site.set_trap("keeper", "relay.before", "stop")
    first = site.run_huey("--queue", "other")
    wait_for(lambda: site.is_sprung("keeper", "relay.before"))
    keeper = first.child("keeper")
    wait_for(lambda: is_stopped(keeper))
    with redis.Redis.from_url(server.url()) as client:
        began = client.time()[0]
        site.run_huey("--queue", "work")
        wait_until_merged(site, 1)
        # a minute later, so to speak
        site.python(
            "from jobs.broker import get_broker\nfrom jobs.history import facts\n"
            "get_broker().forget_facts('work', *facts.position('work'))"
        )
        (ended,) = client.keys("*:work}:ended") or (b"none",)
        assert client.hlen(ended) == 0
        wait_for(lambda: client.time()[0] > began + 11)
    os.kill(keeper, signal.SIGCONT)
    wait_for(lambda: "read from the outbox too long ago" in first.log, what=str(first.log_path))
    runs_once(site, [id])
    check_ledger(site)


def test_wiped_redis_costs_no_transactional_job_that_waits_or_runs(site: Site, server: RedisServer) -> None:
    console = site.console()
    console.ask("1")
    site.run_huey("--queue", "work")
    ids = sell(site, 10, 10.0)
    wait_for(lambda: len(site.ledger()) == 10)
    ids += console.ask("[sell() for _ in range(40)]")
    assert site.ledger("end") == []
    with redis.Redis.from_url(server.url()) as client:
        client.flushall()
    wait_until_merged(site, 50)
    runs_once(site, ids)
    check_ledger(site)


def test_lost_tail_of_the_file_costs_no_transactional_job_and_starts_none_that_has_ended(
    make_site: Callable[..., Site], server: RedisServer
) -> None:
    # longer than its worker is stopped: the supervisor would end one that is stopped for a lease
    site = make_site(FAULTS_REDIS=server.url(), FAULTS_LEASE="30")
    huey = site.run_huey("--queue", "work")
    early = sell(site, 20)
    wait_until_merged(site, 20)
    running = sell(site, 3, 6.0)
    wait_for(lambda: len(site.ledger()) == 23)
    (file,) = [path for pattern in FILES for path in server.folder.rglob(pattern) if "appendonlydir" in str(path)][:1]
    size = file.stat().st_size
    late = sell(site, 20)
    wait_until_merged(site, 40)
    os.kill(huey.child("work/1"), signal.SIGSTOP)  # what is enqueued now waits
    lost = sell(site, 20)
    server.stop(signal.SIGKILL)
    os.truncate(file, size)
    server.start()
    os.kill(huey.child("work/1"), signal.SIGCONT)
    wait_until_merged(site, 63)
    runs_once(site, early + running + late + lost)
    check_ledger(site)


def test_scripts_that_somebody_flushes_cost_nothing(site: Site, server: RedisServer) -> None:
    site.run_huey("--queue", "work", "--queue", "paced")
    over = threading.Event()

    def flush() -> None:
        with redis.Redis.from_url(server.url()) as client:
            while not over.wait(0.002):
                client.script_flush()

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        accepted = site.enqueue("nap.enqueue_many([0.002] * 500) + [nap.enqueue(0) for _ in range(50)]")
        accepted += sell(site, 20)
        wait_until_merged(site, 570)
    finally:
        over.set()
        thread.join()
    runs_once(site, accepted)
    check_ledger(site)


@pytest.mark.parametrize(
    "program", [pytest.param("the machine's", marks=pytest.mark.slow), pytest.param("6.2", marks=LONG)]
)
def test_full_redis_drains_by_itself_and_every_job_runs_once(
    make_site: Callable[..., Site], make_server: Callable[..., RedisServer], program: str
) -> None:
    server = make_server(need_redis_of_the_wheel() if program == "6.2" else need_redis())
    site = make_site(FAULTS_REDIS=server.url(), FAULTS_LEASE="3")
    consoles = [site.console() for _ in range(4)]
    for console in consoles:
        console.ask("nap.enqueue(0)")
    with redis.Redis.from_url(server.url()) as client:
        hueys = [site.run_huey("--queue", "work") for _ in range(2)]
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 400_000)

        full = threading.Event()

        def enqueue(console: Console) -> None:
            for _ in range(60):
                console.ask("nap.enqueue_many([0.1] * 50) + [nap.enqueue(0.1) for _ in range(10)]")
                if full.is_set():
                    break

        threads = [threading.Thread(target=enqueue, args=(console,)) for console in consoles]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: site.states("work")["pending"] > 100, what="a full Redis")
        finally:
            full.set()
            for thread in threads:
                thread.join(120)
        accepted = sorted(site.accepted)
        wait_until_merged(site, len(accepted), 600)
        assert client.info("memory")["maxmemory"] > 0
    runs_once(site, accepted)
    check_ledger(site)
    for huey in hueys:
        assert huey.stop() == 0
