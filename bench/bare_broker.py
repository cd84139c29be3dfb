"""How fast the database broker is without a worker around it.

    python bench/bare_broker.py

Prints jobs/s of exchange loops (settle and claim in one trip) by batch size, the rate of pushes, the cost of an idle
look, and what a claim costs while 100,000 delayed jobs of priority 1 wait. On a database file of its own that it
removes again. Bare loops are a ceiling: no Huey, no signals, no logging.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
FAR = 100_000


def main() -> None:
    """Run every measurement once."""
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        # the test settings read nothing of the site; their database is replaced by this one before anything connects
        os.environ["TEST_DATABASE_URL"] = f"sqlite:///{folder}/bare.sqlite3"
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        measure()


def measure() -> None:
    """Print the table."""
    from django.db import connection

    from jobs import clock
    from jobs.broker.database.broker import DatabaseBroker
    from jobs.broker.records import Completed, NewJob, Settlement, WorkerRecord
    from jobs.policy import QueuePolicy

    broker = DatabaseBroker("default")
    worker = WorkerRecord(clock.new_id(), "worker", "bare", "bench", os.getpid())
    policy = QueuePolicy("bare")
    broker.register(worker, 86_400)

    def new_jobs(count: int, priority: int = 5, delay: float = 0) -> list[NewJob]:
        return [
            NewJob(id=clock.new_id(), queue="bare", task="bench.task", message="{}", priority=priority, delay=delay)
            for _ in range(count)
        ]

    def push(count: int, trip: int, **options: float) -> float:
        jobs = new_jobs(count, **options)
        begun = perf_counter()
        for start in range(0, count, trip):
            broker.push(jobs[start : start + trip])
        return count / (perf_counter() - begun)

    def drain(batch: int) -> float:
        done: list[Settlement] = []
        ended, begun = 0, perf_counter()
        while True:
            exchange = broker.exchange(worker.id, policy, done, batch)
            if not all(exchange.settled):
                raise RuntimeError("a settlement was refused")
            if not exchange.jobs:
                return ended / (perf_counter() - begun)
            ended += len(exchange.jobs)
            now = clock.now()
            done = [Settlement(job, Completed("1"), now, now) for job in exchange.jobs]

    def idle() -> float:
        begun = perf_counter()
        for _ in range(2_000):
            broker.exchange(worker.id, policy, [], 10)
        return (perf_counter() - begun) / 2_000 * 1_000_000

    rows: list[tuple[str, Callable[[], float], str]] = [
        ("push, one a trip", lambda: push(2_000, 1), "jobs/s"),
        ("push, 1,000 a trip", lambda: push(10_000, 1_000), "jobs/s"),
        ("settle and claim, batches of 10", lambda: drain(10), "jobs/s"),
        ("   (push 5,000)", lambda: push(5_000, 1_000), "jobs/s"),
        ("settle and claim, batches of 1", lambda: drain(1), "jobs/s"),
        ("idle exchange", idle, "µs"),
        (f"   (push {FAR:,} delayed, priority 1)", lambda: push(FAR, 1_000, priority=1, delay=3_600), "jobs/s"),
        ("idle exchange behind them", idle, "µs"),
        ("   (push 5,000)", lambda: push(5_000, 1_000), "jobs/s"),
        ("settle and claim behind them, batches of 10", lambda: drain(10), "jobs/s"),
    ]
    for name, run, unit in rows:
        print(f"{name:<48}{run():>12,.0f} {unit}", flush=True)
    broker.close()
    connection.close()


if __name__ == "__main__":
    main()
