"""What a claim costs with 1,000,000 jobs waiting against 1,000: at most 1.3 times as much, on both databases.

    .venv/bin/python -m bench.claim_cost [--rows 1000000] [--rounds 300] [--vendor sqlite|postgresql]

Four databases of its own: with 1,000 and with 1,000,000 jobs waiting, each once of one priority and once spread over
the ten. Claims of 1 and of 10 jobs are made in turn, one on each; what was claimed is then completed, outside the
measured time, and as many jobs are pushed. Where they are spread, the small database is filled anew instead: ten jobs
that were pushed together would lie side by side, and among nine others they lie on pages of their own, as in the large
one. Ends with 1 if a median is above the limit.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
from itertools import count
from time import perf_counter
from typing import Any

from .bulk import insert_jobs, own_databases, set_up
from .worker import registered

FEW, LIMIT = 1_000, 1.3
#: alias of a large database -> that of the small one it is compared with, and the number of priorities
PAIRS = {"large": ("default", 1), "large_spread": ("small_spread", 10)}
SPREAD = ("large_spread", "small_spread")
ALIASES = [alias for large, (small, _) in PAIRS.items() for alias in (small, large)]


def main() -> None:
    """Measure in one process a vendor: Django is set up once a process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--vendor", choices=["sqlite", "postgresql"], default="")
    options = parser.parse_args()
    if not options.vendor:
        command = [
            sys.executable,
            "-m",
            "bench.claim_cost",
            "--rows",
            str(options.rows),
            "--rounds",
            str(options.rounds),
        ]
        codes = [subprocess.run([*command, "--vendor", vendor]).returncode for vendor in ("sqlite", "postgresql")]
        sys.exit(max(codes))
    with own_databases(options.vendor, ALIASES) as urls:
        set_up(urls)
        sys.exit(measure(options.rows, options.rounds))


def measure(rows: int, rounds: int) -> int:
    """Print a line for each database and size of claim; returns 1 if one is above the limit."""
    from django.db import connections

    for large, (small, priorities) in PAIRS.items():
        insert_jobs(connections[small], FEW, "bench", priorities=priorities)
        insert_jobs(connections[large], rows, "bench", priorities=priorities)
    print(f"{connections['default'].display_name}, {rounds} claims each")
    print(f"{'':<34}{'claim of':>9}{'median ms':>11}{'p90 ms':>9}{'worst ms':>10}{'of few':>10}")
    claimers = {alias: Claimer(alias) for alias in ALIASES}
    failed = 0
    for wanted in (1, 10):
        times = take_turns(claimers, wanted, rounds)
        for alias, taken in times.items():
            small, priorities = PAIRS.get(alias, (alias, PAIRS["large_spread"][1] if "spread" in alias else 1))
            ratio = statistics.median(taken) / statistics.median(times[small])
            above = ratio > LIMIT
            failed += above
            name = f"{rows if alias in PAIRS else FEW:,} waiting, {priorities} priorities"
            print(
                f"{name:<34}{wanted:>9}{statistics.median(taken):>11.3f}"
                f"{statistics.quantiles(taken, n=10)[8]:>9.3f}{max(taken):>10.2f}{ratio:>10.2f}"
                f"{'  ABOVE THE LIMIT' if above else ''}",
                flush=True,
            )
    for claimer in claimers.values():
        claimer.broker.close()
    connections.close_all()
    return 1 if failed else 0


def take_turns(claimers: dict[str, Any], wanted: int, rounds: int) -> dict[str, list[float]]:
    """The milliseconds of each claim; a few at first are not counted.

    The order changes from round to round: what the one before has just written slows a claim down.
    """
    times: dict[str, list[float]] = {alias: [] for alias in claimers}
    order, chance = list(claimers), random.Random(1)
    for number in range(-20, rounds):
        chance.shuffle(order)
        for alias in order:
            claimer = claimers[alias]
            taken = claimer.claim(wanted)
            if alias not in SPREAD:
                claimer.push()
            elif alias not in PAIRS and number % 5 == 0:
                claimer.fill_anew()
            if number >= 0:
                times[alias].append(taken)
    return times


class Claimer:
    """A worker on one database."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.broker, self.policy, self.worker = registered("bench", alias)
        self.numbers = count(1)

    def claim(self, wanted: int) -> float:
        """Milliseconds of one claim; its jobs are completed afterwards."""
        from jobs import clock
        from jobs.broker.records import Completed, Settlement

        began = perf_counter()
        jobs = self.broker.exchange(self.worker, self.policy, [], wanted, number=next(self.numbers)).jobs
        taken = (perf_counter() - began) * 1_000
        if len(jobs) != wanted:
            raise RuntimeError(f"claimed {len(jobs)} jobs and wanted {wanted}")
        now = clock.now()
        self.broker.exchange(
            self.worker,
            self.policy,
            [Settlement(job, Completed("1"), now, now) for job in jobs],
            0,
            number=next(self.numbers),
        )
        self.claimed = jobs
        return taken

    def push(self) -> None:
        """As many jobs as the last claim took."""
        from jobs import clock
        from jobs.broker.records import NewJob

        self.broker.push(
            "bench",
            [NewJob(clock.new_id(), "bench", "bench.task", "{}", priority=job.priority) for job in self.claimed],
        )

    def fill_anew(self) -> None:
        """Few jobs, spread over the priorities, in place of what is left."""
        from django.db import connections

        with connections[self.alias].cursor() as cursor:
            for table in ("jobs_attempt", "jobs_job"):
                cursor.execute(f"DELETE FROM {table}")
        insert_jobs(connections[self.alias], FEW, "bench", priorities=10)


if __name__ == "__main__":
    main()
