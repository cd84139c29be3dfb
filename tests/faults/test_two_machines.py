"""Two hosts with names and networks of their own, made of namespaces, on one PostgreSQL or Redis (G2, G7, G8)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.servers import PostgresqlServer, RedisServer, cannot_be_had, need_postgresql

from .harness import PostgresqlSite, RedisAndPostgresqlSite, RedisSite, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.slow

NETWORK = "10.213.0.0/16"


@dataclass(frozen=True)
class Machine:
    """A host: its name, how to run a command there, and the address under which it sees the server."""

    name: str
    number: int

    @property
    def space(self) -> str:
        return f"esteira{os.getpid()}{self.name[-1]}"

    @property
    def through(self) -> list[str]:
        there = ["ip", "netns", "exec", self.space, "unshare", "--uts", "sh", "-c"]
        return [*there, f'hostname {self.name}; exec "$@"', "sh"]

    @property
    def sees(self) -> str:
        return f"10.213.{self.number}.1"

    @property
    def cable(self) -> str:
        return f"est{self.number}p{os.getpid() % 100_000}"

    def set_up(self) -> None:
        ip("netns", "add", self.space)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        ip("address", "add", f"{self.sees}/30", "dev", self.cable)
        ip("-n", self.space, "address", "add", f"10.213.{self.number}.2/30", "dev", "eth0")
        ip("-n", self.space, "link", "set", "lo", "up")
        ip("-n", self.space, "link", "set", "eth0", "up")
        self.connect(True)

    def connect(self, connected: bool) -> None:
        ip("link", "set", self.cable, "up" if connected else "down")

    def remove(self) -> None:
        subprocess.run(["ip", "link", "delete", self.cable], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", self.space], check=False, capture_output=True)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@pytest.fixture
def machines() -> Iterator[list[Machine]]:
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("unshare")):
        cannot_be_had("no server for two machines: network namespaces need root and the programs ip and unshare")
    made = [Machine("machine-a", 1), Machine("machine-b", 2)]
    try:
        for machine in made:
            machine.set_up()
    except subprocess.CalledProcessError as error:
        for machine in made:
            machine.remove()
        cannot_be_had(f"no server for two machines: {error.stderr.decode(errors='replace').strip()}")
    yield made
    for machine in made:
        machine.remove()


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    server = PostgresqlServer.create(need_postgresql())
    server.admit(NETWORK)
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=["rows", "redis"])
def site(
    request: pytest.FixtureRequest, server: PostgresqlServer, machines: list[Machine], tmp_path: Path
) -> Iterator[PostgresqlSite]:
    url, redis = server.create_database("machines"), None
    if request.param == "redis":
        redis = RedisServer.create(**{"bind": "0.0.0.0", "protected-mode": "no"})
        redis.start()
        site: PostgresqlSite = RedisAndPostgresqlSite(tmp_path, url, redis, FAULTS_LEASE="2")
    else:
        site = PostgresqlSite(tmp_path, url, FAULTS_LEASE="2")
    done = site.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    yield site
    site.close()
    if redis is not None:
        redis.remove()


def seen_from(machine: Machine, site: PostgresqlSite, server: PostgresqlServer) -> dict[str, str]:
    """The variables of a process on this machine."""
    database = {"FAULTS_DATABASE": server.url("machines", host=machine.sees)}
    if isinstance(site, RedisSite):
        return {**database, "FAULTS_REDIS": site.server.url().replace("127.0.0.1", machine.sees)}
    return database


def test_two_machines_share_the_jobs_keep_the_pace_and_tick_once(
    site: PostgresqlSite, server: PostgresqlServer, machines: list[Machine]
) -> None:
    site.write(
        "INSERT INTO jobs_schedule (name, task, from_code, enabled, expression, timezone, missed, overlap, jitter, "
        "args, kwargs, fired, trouble, last_tick) VALUES ('faults.every_minute', 'faults.every_minute', true, true, "
        "'', '', 'once', 'allow', 0, '[]', '{}', 0, '', ?)",
        f"{datetime.now(UTC) - timedelta(minutes=5):%Y-%m-%d %H:%M:%S}",
    )
    hueys = [site.run_huey(through=machine.through, **seen_from(machine, site, server)) for machine in machines]
    site.enqueue("nap.enqueue_many([0.05] * 300) + step.enqueue_many([()] * 40)")
    wait_for(lambda: site.states("work")["completed"] == 300 and site.states("paced")["completed"] == 40)

    runs = Counter(line.job for line in site.ledger())
    hosts = Counter(host.partition(":")[0] for (host,) in site.rows("SELECT worker FROM jobs_attempt"))
    jobs = {id for (id,) in site.rows("SELECT id FROM jobs_job WHERE queue IN ('work', 'paced')")}
    paced = {id for (id,) in site.rows("SELECT id FROM jobs_job WHERE queue = 'paced'")}
    starts = sorted(line.at for line in site.ledger() if line.job in paced)
    ticks = [line.split("tick=")[1].split()[0] for h in hueys for line in h.log.splitlines() if " ticked " in line]
    print(f"attempts by host: {dict(hosts)}")
    assert {runs[job] for job in jobs} == {1}
    assert set(hosts) == {"machine-a", "machine-b"}
    assert min(later - earlier for earlier, later in zip(starts, starts[10:], strict=False)) >= 1.0
    assert len(ticks) == len(set(ticks)) >= 1
    check_ledger(site)
    assert [huey.stop() for huey in hueys] == [0, 0]


def test_jobs_of_a_machine_without_network_run_on_the_other_one(
    site: PostgresqlSite, server: PostgresqlServer, machines: list[Machine]
) -> None:
    first, second = (
        site.run_huey("--queue", "work", through=machine.through, **seen_from(machine, site, server))
        for machine in machines
    )
    accepted = site.enqueue("nap.enqueue_many([0.5] * 100)")
    wait_for(lambda: {second.child("work/1")} & {line.pid for line in site.ledger()})
    machines[1].connect(False)
    wait_for(lambda: site.states("work")["completed"] == 100)
    machines[1].connect(True)

    # the cut-off machine comes back: what it still held is refused, and it works again
    again = site.enqueue("nap.enqueue_many([0.5] * 100)")
    wait_for(lambda: site.states("work")["completed"] == 200)
    wait_for(lambda: "worker_started" in second.log.partition("no_hints")[2] or "settle_refused" in second.log)
    runs = Counter(line.job for line in site.ledger())
    lost = dict(site.rows("SELECT id, lost FROM jobs_job WHERE queue = 'work'"))
    print(f"{sum(lost.values())} leases lost, {runs.total()} runs")
    assert set(runs) == {*accepted, *again}
    assert sum(lost.values()) >= 1
    assert {job: count for job, count in runs.items() if count > 1 + lost[job]} == {}
    assert first.process.poll() is None
    assert second.process.poll() is None
    check_ledger(site)
