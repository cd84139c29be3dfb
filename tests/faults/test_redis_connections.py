"""Connections to Redis that are cut in the middle of a call (G1, G2)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from jobs.broker.redis.scripts import load_script
from tests.servers import RedisServer

from .customer import Customer
from .harness import RedisSite, Site, wait_for
from .ledger import check_ledger, wait_until_ended
from .proxy import Proxy

pytestmark = pytest.mark.parametrize("make_site", ["redis"], indirect=True)
MakeSite = Callable[..., Site]
#: Those that a worker, its supervisor or the keeper runs all the time.
OFTEN = ("exchange", "register", "reap", "push", "read_facts", "now", "waits_alone", "processes", "life")


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    proxy = Proxy(redis_server.port, redis=True)
    yield proxy
    proxy.close()


def through(proxy: Proxy, server: RedisServer) -> dict[str, str]:
    """The variables of a process that reaches Redis by the proxy."""
    return {"FAULTS_REDIS": server.url().replace(f":{server.port}/", f":{proxy.port}/")}


def test_enqueue_whose_connection_is_cut_leaves_one_job_and_fails_not(
    site: RedisSite, proxy: Proxy, redis_server: RedisServer
) -> None:
    console = site.console(**through(proxy, redis_server))
    accepted = [console.ask("nap.enqueue()")]
    push, now = load_script("push")[0], load_script("now")[0]
    for where, script, call in (
        ("request", push, "nap.enqueue"),
        ("reply", push, "nap.enqueue"),
        ("request", push, "nap.using(key='a').enqueue"),
        ("reply", push, "nap.using(key='b').enqueue"),
        ("request", push, "sell"),
        ("reply", push, "sell"),
        ("reply", push, "lambda: sell(key='c')"),
        ("reply", now, "sell"),
    ):
        for connection in ("kept", "new"):
            before = site.job_ids()
            if connection == "new":
                # with what is new nothing is sent twice: the job goes to the outbox, wherever else it may be
                console.ask("__import__('jobs.broker').broker.close_broker()")
            rule = proxy.cut(where, script)
            accepted.append(console.ask(f"attempt({call.replace(chr(39) + ')', connection + chr(39) + ')')})")["value"])
            assert rule.done == 1, (where, call, connection)
            assert site.job_ids() - before == {accepted[-1]}, (where, call, connection)
            # it does not ask for some seconds after that
            console.ask("setattr(__import__('jobs.enqueue.outbox').enqueue.outbox, '_away_until', 0.0)")
    site.run_huey("--queue", "work")
    check_ledger(site, accepted)
    assert site.states("work") == {"completed": len(accepted)}
    assert len(site.ledger("start")) == len(accepted)


@pytest.mark.slow
def test_run_huey_whose_connections_are_cut_at_each_script_runs_each_job_once_and_loses_none(
    make_site: MakeSite, proxy: Proxy, redis_server: RedisServer
) -> None:
    site = make_site(FAULTS_LEASE="5")
    console = site.console()
    # what it enqueues the keeper pushes
    outbox = site.console(FAULTS_REDIS="redis://127.0.0.1:1/0")
    queues = ("--queue", "work", "--queue", "paced")
    huey = site.run_huey(*queues, "--concurrency", "work=3", **through(proxy, redis_server))
    accepted: list[str] = []
    rules = [(where, script) for script in OFTEN for where in ("request", "reply")] + [("hold", "exchange")]
    for where, script in rules:
        rule = proxy.cut(where, load_script(script)[0], times=2, seconds=1.0)
        accepted += console.ask("nap.enqueue_many([0.05] * 3) + [count.enqueue()] + step.enqueue_many([()] * 2)")
        accepted.append(outbox.ask("nap.enqueue()"))
        wait_for(lambda rule=rule: rule.done == 2, what=f"cut {where} of {script}")
    wait_until_ended(site)
    check_ledger(site, accepted)
    assert site.counter() == len(rules)
    assert site.rows("SELECT sum(lost) FROM jobs_job") == [(0,)]
    assert {len(site.starts(job)) for job in accepted} == {1}
    assert huey.count("child_ended") == 0


@pytest.mark.slow
def test_all_connections_to_redis_cut_again_and_again_lose_no_job(
    make_site: MakeSite, chance: random.Random, proxy: Proxy, redis_server: RedisServer
) -> None:
    site = make_site(FAULTS_LEASE="5")
    way = through(proxy, redis_server)
    huey = site.run_huey("--queue", "work", "--queue", "paced", "--processes", "work=2", **way)
    cut = 0
    with Customer(site.console(**way)) as customer:
        for _ in range(30):
            time.sleep(chance.uniform(0.0, 0.4))
            cut += proxy.cut_all()
    print(f"{cut} connections cut; {len(customer.accepted)} accepted, {customer.refused} refused")
    check_ledger(site, customer.accepted)
    assert customer.refused == 0
    assert site.rows("SELECT sum(lost) FROM jobs_job") == [(0,)]
    assert huey.count("child_ended") == 0
