"""`make prove`: a minute of kills on your own machine, and then the ledger of what really ran.

One process enqueues all the while, in its transactions and without; `run_huey` works two queues. Meanwhile workers,
the keeper, the supervisor and, where there is one, the store's server are killed by chance. At the end each job that
was accepted must have run to its end, none twice without a lost lease, and the history must agree: see `ledger.py`.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import PostgresqlServer, RedisServer, need_postgresql

from .customer import Customer
from .harness import Huey, PostgresqlSite, RedisSite, Site, is_of_site, wait_for
from .ledger import check_ledger

BROKERS = ("sqlite", "postgresql", "redis")
WORDS = ("--queue", "work", "--queue", "paced", "--processes", "work=2")
VARIABLES = {"FAULTS_RESTART_PAUSE": "0.5", "FAULTS_PACE": "200"}
WORKERS = ("work/1", "work/2", "paced/1")
#: Seconds between two kills.
PAUSE = (0.5, 3.0)


class Proof:
    """A site, what works on it, and who is killed there."""

    def __init__(self, site: Site, server: PostgresqlServer | RedisServer | None, chance: random.Random) -> None:
        self.site, self.server, self.chance = site, server, chance
        self.killed = Counter[str]()
        self.began = time.monotonic()
        self.huey: Huey = site.run_huey(*WORDS, **VARIABLES)

    def run(self, seconds: float) -> Customer:
        """Enqueue and kill for so long; returns who enqueued."""
        self.say(f"{seconds:g} seconds of jobs and kills")
        with Customer(self.site.console()) as customer:
            wait_for(lambda: customer.accepted, what="the first job was accepted")
            while not self.killed or time.monotonic() < self.began + seconds:
                time.sleep(self.chance.uniform(*PAUSE))
                self.kill()
        refused = f"; refused, as the store was away: {customer.refused}" if customer.refused else ""
        self.say(f"enqueued {len(customer.accepted):,} jobs{refused}")
        return customer

    def kill(self) -> None:
        """Kill one of those that are at work."""
        victims = ["keeper", "supervisor", *WORKERS, *(["store"] if self.server else [])]
        victim = self.chance.choice(victims)
        if victim == "store":
            assert self.server is not None
            # of a crash of PostgreSQL nothing remains but its log; SIGKILL leaves processes that hold its port
            self.server.stop(signal.SIGQUIT if isinstance(self.server, PostgresqlServer) else signal.SIGKILL)
            time.sleep(self.chance.uniform(0.0, 1.5))
            self.server.start()
        elif victim == "supervisor":
            self.huey.process.kill()
            self.huey.process.wait()
            self.huey = self.site.run_huey(*WORDS, wait=False, **VARIABLES)
        else:
            pids = self.huey.started(victim)
            if not pids or not is_of_site(pids[-1], self.site):
                return  # its place is empty just now
            os.kill(pids[-1], signal.SIGKILL)
        self.killed[victim] += 1
        self.say(f"killed {victim}")

    def read_the_ledger(self, customer: Customer) -> None:
        """Wait until all has ended; raises AssertionError with what is wrong."""
        self.say("waiting until every job has ended")
        wait_for(lambda: not self.site.has_live_jobs(), 600, "every job ended")
        # whoever was cut off in the middle of a call does not know what became of it
        unknown = self.site.job_ids() - set(customer.accepted) if customer.refused else set()
        check_ledger(self.site, customer.accepted, maybe=unknown, limit=600)

    def say(self, text: str) -> None:
        """A line with the time since the start."""
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)


@contextmanager
def standing(broker: str) -> Iterator[tuple[Site, PostgresqlServer | RedisServer | None]]:
    """A migrated site of its own in a new folder, with the server of its store; both are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="esteira-prove-") as name:
        folder = Path(name)
        server: PostgresqlServer | RedisServer | None = None
        if broker == "postgresql":
            server = PostgresqlServer.create(need_postgresql())
            server.start()
            site: Site = PostgresqlSite(folder, server.create_database("prove"))
        elif broker == "redis":
            server = RedisServer.create(appendonly="yes", appendfsync="everysec")
            server.start()
            template = _migrated(Site(Path(tempfile.mkdtemp(dir=folder)))).database
            site = RedisSite(folder, template, server)
        else:
            site = Site(folder)
        try:
            yield _migrated(site), server
        finally:
            site.close()
            if server is not None:
                server.remove()


def _migrated(site: Site) -> Site:
    done = site.manage("migrate", "--verbosity", "0")
    if done.returncode:
        raise SystemExit(done.stderr)
    return site


def main(words: list[str] | None = None) -> int:
    """The command; 0: all that was accepted ran, once."""
    parser = argparse.ArgumentParser(prog="make prove", description="Kill workers, keeper and store; read the ledger.")
    parser.add_argument("--on", choices=BROKERS, default="sqlite", help="where the jobs are (default: sqlite)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to enqueue and kill (default: 60)")
    parser.add_argument("--seed", type=int, help="repeats the choices of another time")
    options = parser.parse_args(words)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"jobs on {options.on}, --seed {seed}")
    with standing(options.on) as (site, server):
        proof = Proof(site, server, random.Random(seed))
        customer = proof.run(options.seconds)
        try:
            proof.read_the_ledger(customer)
        except AssertionError as wrong:
            print(f"\nThis must not be:\n{wrong}")
            return 1
    kills = ", ".join(f"{victim} {number}" for victim, number in sorted(proof.killed.items()))
    print(f"killed: {kills}\nEvery accepted job ran to its end, none twice without a lost lease; the history agrees.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
