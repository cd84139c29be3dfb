"""How fast the database broker is without a worker around it.

    python bench/bare_broker.py [--database postgres://user@host/empty_database] [--processes 2]

Prints jobs/s of exchange loops (settle and claim in one trip) by batch size, the rate of pushes, the cost of an idle
look, and what a claim costs while 100,000 delayed jobs of priority 1 wait. On a database file of its own that it
removes again, or on an empty database that you name. Bare loops are a ceiling: no Huey, no signals, no logging.

With `--processes 2` it measures instead what as many processes reach together on one queue, beside one process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
FAR = 100_000


def main() -> None:
    """Run every measurement once."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default="", help="an empty database; default: a SQLite file of its own")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--drain", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        # the test settings read nothing of the site; their database is replaced by this one before anything connects
        os.environ["TEST_DATABASE_URL"] = options.database or f"sqlite:///{folder}/bare.sqlite3"
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
        import django

        django.setup()
        if options.drain:
            print(drain_one(options.drain), flush=True)
            return
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        measure(options.processes)


def drain_one(batch: int) -> str:
    """One process of several: say that it is ready, wait for a line, work until nothing is left; jobs and seconds."""
    from jobs import clock
    from jobs.broker.database.broker import DatabaseBroker
    from jobs.broker.records import Completed, ProcessRecord, Settlement
    from jobs.policy import QueuePolicy

    broker, policy = DatabaseBroker("default"), QueuePolicy("bare")
    worker = ProcessRecord(clock.new_id(), "worker", "bare", "bench", os.getpid())
    broker.register(worker, 86_400)
    numbers = count(1)
    broker.exchange(worker.id, QueuePolicy("none"), [], batch, number=next(numbers))
    print("ready", flush=True)
    sys.stdin.readline()
    done: list[Settlement] = []
    ended, begun = 0, perf_counter()
    while jobs := broker.exchange(worker.id, policy, done, batch, number=next(numbers)).jobs:
        ended += len(jobs)
        now = clock.now()
        done = [Settlement(job, Completed("1"), now, now) for job in jobs]
    return f"{ended} {perf_counter() - begun}"


def drain_together(processes: int, batch: int) -> float:
    """Jobs per second of several processes that begin at one moment."""
    command = [sys.executable, __file__, "--drain", str(batch), "--database", os.environ["TEST_DATABASE_URL"]]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for child in children:
        if child.stdout is None or child.stdout.readline().strip() != "ready":
            raise RuntimeError("a process did not start")
    for child in children:
        if child.stdin is not None:
            child.stdin.write("go\n")
            child.stdin.flush()
    answers = [child.communicate()[0].split() for child in children]
    return sum(int(number) for number, _ in answers) / max(float(seconds) for _, seconds in answers)


def rows_of_processes(processes: int, push: Callable[[int, int], float]) -> list[tuple[str, Callable[[], float], str]]:
    """What is measured with several processes."""
    rows: list[tuple[str, Callable[[], float], str]] = []
    for batch in (1, 10, 50):
        for number in (1, processes):
            name = f"{number} at once, batches of {batch}"
            rows.append(("   (push 10,000)", partial(push, 10_000, 1_000), "jobs/s"))
            rows.append((name, partial(drain_together, number, batch), "jobs/s"))
    return rows


def measure(processes: int) -> None:
    """Print the table."""
    from django.db import connection

    from jobs import clock
    from jobs.broker.database.broker import DatabaseBroker
    from jobs.broker.records import Completed, NewJob, ProcessRecord, Settlement
    from jobs.policy import QueuePolicy

    broker = DatabaseBroker("default")
    worker = ProcessRecord(clock.new_id(), "worker", "bare", "bench", os.getpid())
    policy = QueuePolicy("bare")
    broker.register(worker, 86_400)
    numbers = count(1)

    def new_jobs(count: int, priority: int = 5, delay: float = 0) -> list[NewJob]:
        return [
            NewJob(id=clock.new_id(), queue="bare", task="bench.task", message="{}", priority=priority, delay=delay)
            for _ in range(count)
        ]

    def push(count: int, trip: int, **options: float) -> float:
        jobs = new_jobs(count, **options)
        begun = perf_counter()
        for start in range(0, count, trip):
            broker.push("bare", jobs[start : start + trip])
        return count / (perf_counter() - begun)

    def drain(batch: int) -> float:
        done: list[Settlement] = []
        ended, begun = 0, perf_counter()
        while True:
            exchange = broker.exchange(worker.id, policy, done, batch, number=next(numbers))
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
            broker.exchange(worker.id, policy, [], 10, number=next(numbers))
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
    if processes > 1:
        rows = rows_of_processes(processes, push)
    for name, run, unit in rows:
        print(f"{name:<48}{run():>12,.0f} {unit}", flush=True)
    broker.close()
    connection.close()


if __name__ == "__main__":
    main()
