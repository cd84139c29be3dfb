"""PostgreSQL restarted under load, and connections cut in the middle of a reply (G1, G2, G3)."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import postgresql_server
from tests.servers import PostgresqlServer, need_postgresql

from .customer import Customer
from .harness import PostgresqlSite, Site, wait_for
from .ledger import check_ledger, wait_until_ended
from .proxy import Proxy

MakeSite = Callable[..., Site]

on_postgresql = pytest.mark.parametrize("make_site", ["postgresql"], indirect=True)
INSERT, EXCHANGE, SETTLE = "INSERT INTO jobs_job", "gate AS MATERIALIZED", '"act": "complete"'


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy(postgresql_server().port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresqlServer]:
    """A server that a test may restart without harm to others."""
    server = PostgresqlServer.create(need_postgresql())
    server.start()
    yield server
    server.remove()


@pytest.fixture
def site_on_own_server(own_server: PostgresqlServer, tmp_path: Path) -> Iterator[Site]:
    site = PostgresqlSite(tmp_path, own_server.create_database("faults"), FAULTS_LEASE="5")
    done = site.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    yield site
    site.close()


def through(proxy: Proxy, site: Site) -> dict[str, str]:
    """The variables of a process that reaches its database by the proxy."""
    assert isinstance(site, PostgresqlSite)
    return {"FAULTS_DATABASE": site.url.replace(f":{postgresql_server().port}/", f":{proxy.port}/")}


@on_postgresql
def test_enqueue_whose_connection_is_cut_is_made_again_and_in_a_transaction_leaves_all_or_nothing_and_fails(
    site: Site, proxy: Proxy
) -> None:
    console = site.console(**through(proxy, site))
    accepted, maybe = [console.ask("nap.enqueue()")], []
    # what is cut, in which call, and how many jobs and sales it leaves; what is in no transaction is made again
    for where, text, call, jobs, sales in (
        ("request", INSERT, "nap.enqueue", 1, None),
        ("reply", INSERT, "nap.enqueue", 1, None),
        ("request", INSERT, "nap.using(key='a').enqueue", 1, None),
        ("reply", INSERT, "nap.using(key='b').enqueue", 1, None),
        ("request", "COMMIT", "nap.using(key='c').enqueue", 1, None),
        ("reply", "COMMIT", "nap.using(key='d').enqueue", 1, None),
        ("reply", INSERT, "sell", 0, 0),
        ("request", "COMMIT", "sell", 0, 0),
        ("reply", "COMMIT", "sell", 1, 1),
        ("reply", "COMMIT", "lambda: sell(key='e')", 1, 1),
    ):
        before = {id for (id,) in site.rows("SELECT id FROM jobs_job")}
        sold = site.rows("SELECT count(*) FROM faults_sale")[0][0]
        rule = proxy.cut(where, text)
        answer = console.ask(f"attempt({call})")
        assert rule.done == 1, (where, text, call)
        assert ("error" if sales is not None else "value") in answer, (where, text, call)
        new = {id for (id,) in site.rows("SELECT id FROM jobs_job")} - before
        sold = site.rows("SELECT count(*) FROM faults_sale")[0][0] - sold
        assert (len(new), sold) == (jobs, sales or 0), (where, call)
        if sales is None:
            accepted.append(answer["value"])
        else:
            maybe += new
        accepted.append(console.ask("attempt(nap.enqueue)")["value"])
    # a hint that got lost is no failure
    rule = proxy.cut("reply", "pg_notify")
    accepted.append(console.ask("attempt(nap.enqueue)")["value"])
    assert rule.done == 1

    site.run_huey("--queue", "work")
    check_ledger(site, accepted, maybe=maybe)
    assert site.states("work") == {"completed": len(accepted) + len(maybe)}


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([("reply", EXCHANGE, "claimed"), ("reply", SETTLE, "")], id="claim-and-settle"),
        pytest.param(
            [
                ("request", EXCHANGE, ""),
                ("request", SETTLE, ""),
                ("request", "COMMIT", ""),
                ("reply", "COMMIT", ""),
                ("hold", EXCHANGE, "claimed"),
                ("hold", SETTLE, ""),
                ("hold", "COMMIT", ""),
                ("reply", "UPDATE jobs_process", ""),
            ],
            id="all",
            marks=pytest.mark.slow,
        ),
    ],
)
@on_postgresql
def test_worker_whose_connection_is_cut_in_the_middle_runs_each_job_once_and_loses_none(
    make_site: MakeSite, proxy: Proxy, cuts: list[Any]
) -> None:
    site = make_site(FAULTS_LEASE="5")
    console = site.console()
    site.run_huey("--queue", "work", "--queue", "paced", "--concurrency", "work=3", **through(proxy, site))
    accepted: list[str] = []
    for where, text, answer in cuts:
        rule = proxy.cut(where, text, answer=answer, times=2, seconds=1.0)
        for _ in range(2):
            accepted += console.ask("nap.enqueue_many([0.05] * 3) + [count.enqueue()] + step.enqueue_many([()] * 2)")
            wait_until_ended(site)
        wait_for(lambda rule=rule: rule.done == 2, what=f"cut {where} of {text}")
    check_ledger(site, accepted)
    assert site.counter() == _counted(site)
    assert site.rows("SELECT sum(lost) FROM jobs_job") == [(0,)]


@pytest.mark.slow
@on_postgresql
def test_all_connections_cut_again_and_again_lose_no_job(
    make_site: MakeSite, chance: random.Random, proxy: Proxy
) -> None:
    site = make_site(FAULTS_LEASE="5")
    console = site.console(**through(proxy, site))
    site.run_huey("--queue", "work", "--queue", "paced", "--processes", "work=2", **through(proxy, site))
    accepted, cut = [], 0
    for _ in range(30):
        calls = ("nap.using().enqueue_many([0.02] * 20)", "[sell()]", "[count.enqueue()]", "[step.enqueue()]")
        for call in chance.sample(calls, 3):
            answer = console.ask(f"attempt(lambda: {call})")
            accepted += answer.get("value", [])
        time.sleep(chance.uniform(0.0, 0.4))
        cut += proxy.cut_all()
    print(f"{cut} connections cut")
    unknown = {id for (id,) in site.rows("SELECT id FROM jobs_job")} - set(accepted)
    check_ledger(site, accepted, maybe=unknown)
    assert site.counter() == _counted(site)
    assert site.rows("SELECT count(*) FROM faults_sale WHERE job NOT IN (SELECT id FROM jobs_job)") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast-shutdown", "crash"])
def test_postgresql_restarted_under_load_costs_no_job_and_no_lease(
    site_on_own_server: Site, own_server: PostgresqlServer, chance: random.Random, how: signal.Signals
) -> None:
    site = site_on_own_server
    console = site.console()
    huey = site.run_huey("--queue", "work", "--queue", "paced", "--processes", "work=2")
    with Customer(console) as customer:
        for _ in range(3):
            time.sleep(chance.uniform(0.5, 2.0))
            own_server.stop(how)
            time.sleep(chance.uniform(0.0, 2.0))
            own_server.start()
            got = len(customer.accepted)
            wait_for(lambda got=got: len(customer.accepted) > got + 5, what="enqueued again")
    unknown = {id for (id,) in site.rows("SELECT id FROM jobs_job")} - set(customer.accepted)
    print(f"{len(customer.accepted)} accepted, {customer.refused} refused, {len(unknown)} unknown")
    check_ledger(site, customer.accepted, maybe=unknown)
    assert customer.refused > 0
    # of each call whose end the caller does not know there is one job at most
    assert len(unknown) <= customer.refused
    assert site.counter() == _counted(site)
    assert site.rows("SELECT sum(lost) FROM jobs_job") == [(0,)]
    assert huey.process.poll() is None
    assert huey.count("child_ended") == 0


def _counted(site: Site) -> int:
    """How many atomic jobs have counted: one whose own statements failed twice is a dead letter, and has not."""
    where = "task = 'faults.count' AND state = 'completed'"
    return int(site.rows(f"SELECT count(*) FROM jobs_job WHERE {where}")[0][0])
