"""What a claim of one job costs in a limited queue with 1,000, 9,000 and 100,000 grants in its window.

    .venv/bin/python -m bench.pace_cost [--rounds 300] [--vendor sqlite|postgresql]

Each on a database of its own: the grants, one a row, are spread over the day of RateLimit(N, per=86_400), of which so
many slots are left as are claimed here. Ends with 1 if a median is above 1.5 times the one of 1,000.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from time import perf_counter

from .bulk import own_databases, set_up
from .worker import registered

GRANTS = {"default": 1_000, "more": 9_000, "most": 99_000}
DAY, LIMIT = 86_400, 1.5


def main() -> None:
    """Measure in one process a vendor: Django is set up once a process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--vendor", choices=["sqlite", "postgresql"], default="")
    options = parser.parse_args()
    if not options.vendor:
        command = [sys.executable, "-m", "bench.pace_cost", "--rounds", str(options.rounds)]
        codes = [subprocess.run([*command, "--vendor", vendor]).returncode for vendor in ("sqlite", "postgresql")]
        sys.exit(max(codes))
    with own_databases(options.vendor, list(GRANTS)) as urls:
        set_up(urls)
        sys.exit(measure(options.vendor, options.rounds))


def measure(vendor: str, rounds: int) -> int:
    """Claim one by one, in turn on each database, and print the milliseconds; 1 if a median is above the limit."""
    from django.db import connections

    from jobs import clock
    from jobs.broker.records import NewJob
    from jobs.models import Grant, QueueState
    from jobs.policy import RateLimit

    claimers = {}
    for alias, number in GRANTS.items():
        broker, policy, worker = registered("bench", alias)
        moments = [broker.now() - timedelta(seconds=DAY * (number - place) / (number + 1)) for place in range(number)]
        grants = [Grant(queue="bench", number=1, granted_at=moment, start_by=moment) for moment in moments]
        Grant.objects.using(alias).bulk_create(grants, batch_size=5_000)
        QueueState.objects.using(alias).update_or_create(queue="bench", defaults={"taken": number})
        broker.push(
            "bench", [NewJob(clock.new_id(), "bench", "bench.task", "{}", priority=5) for _ in range(rounds + 20)]
        )
        claimers[alias] = (broker, replace(policy, rate_limit=RateLimit(number + rounds + 20, per=DAY)), worker)
    times: dict[str, list[float]] = {alias: [] for alias in GRANTS}
    for number in range(-20, rounds):
        for alias, (broker, policy, worker) in claimers.items():
            began = perf_counter()
            jobs = broker.exchange(worker, policy, [], 1, number=number + 21).jobs
            taken = (perf_counter() - began) * 1_000
            if len(jobs) != 1:
                raise RuntimeError(f"claimed {len(jobs)} jobs")
            if number >= 0:
                times[alias].append(taken)
    failed = 0
    print(f"{vendor}, {rounds} claims each\n{'grants':>10}{'median ms':>12}{'p90 ms':>10}{'of 1,000':>10}")
    for alias, taken_times in times.items():
        ratio = statistics.median(taken_times) / statistics.median(times["default"])
        failed += ratio > LIMIT
        p90 = statistics.quantiles(taken_times, n=10)[8]
        print(f"{GRANTS[alias]:>10,}{statistics.median(taken_times):>12.3f}{p90:>10.3f}{ratio:>10.2f}")
        claimers[alias][0].close()
    connections.close_all()
    return 1 if failed else 0


if __name__ == "__main__":
    main()
