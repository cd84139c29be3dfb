"""Pruning among 1,000,000 ended jobs while a worker goes on, on both databases.

    .venv/bin/python -m bench.retention [--rows 1000000] [--vendor sqlite|postgresql]

Databases of its own, each with that many completed jobs and an attempt for each, of which retention keeps 1,000. One
process claims, settles and pushes jobs of another queue, ten a trip, all the time; a second one prunes as the keeper
does, with its pauses, for 100 seconds at most. Printed: the worker's jobs per second and trips before, meanwhile and
after, and how long the pruning's transactions took, with their wait for the lock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from time import perf_counter, sleep
from typing import Any

from .bulk import insert_jobs, own_databases, set_up
from .worker import has_line, registered

KEPT, BATCH, WINDOW = 1_000, 10, 10.0
#: Pruning is looked at for so many seconds at most.
LONGEST = 100.0


def main() -> None:
    """Measure in one process a vendor: Django is set up once a process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--vendor", choices=["sqlite", "postgresql"], default="")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        prune_all(options.child)
    elif not options.vendor:
        command = [sys.executable, "-m", "bench.retention", "--rows", str(options.rows), "--vendor"]
        sys.exit(max(subprocess.run([*command, vendor]).returncode for vendor in ("sqlite", "postgresql")))
    else:
        with own_databases(options.vendor, ["default"]) as urls:
            set_up(urls)
            measure(options.rows, urls["default"])


def prune_all(url: str) -> None:
    """The second process: say that it is ready, wait for a line, prune until nothing is too many; one JSON line."""
    set_up({"default": url})
    from jobs.keep import prune
    from jobs.policy import QueuePolicy, Retention

    policy = QueuePolicy("old", retention=Retention(completed=KEPT, failed=KEPT))
    chunks: list[tuple[float, float]] = []
    remove_chunk = prune.remove_chunk

    def timed(jobs: Any) -> Any:
        chunk = remove_chunk(jobs)
        chunks.append((chunk.waited * 1_000, chunk.held * 1_000))
        return chunk

    prune.remove_chunk = timed
    print("ready", flush=True)
    sys.stdin.readline()
    began = perf_counter()
    removed = 0
    while perf_counter() - began < LONGEST:
        gone = prune.prune([policy])
        removed += gone
        if not gone:
            break
        sleep(prune.SOON)
    print(json.dumps({"removed": removed, "seconds": perf_counter() - began, "chunks": chunks}), flush=True)


def measure(rows: int, url: str) -> None:
    """Print the table of one database."""
    from django.db import connection

    insert_jobs(connection, rows, "old", state="completed")
    worker = Worker()
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.retention", "--child", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if child.stdin is None or child.stdout is None or child.stdout.readline().strip() != "ready":
        raise RuntimeError("the pruning process did not start")
    print(f"{connection.display_name}, {rows:,} ended jobs, {KEPT:,} are kept")
    print(f"{'worker':<24}{'jobs/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'worst ms':>10}")
    worker.work(lambda seconds: seconds < 2)
    _print("before", *worker.work(lambda seconds: seconds < WINDOW))
    child.stdin.write("go\n")
    child.stdin.flush()
    meanwhile = worker.work(lambda seconds: not has_line(child.stdout))
    _print("while it is pruned", *meanwhile)
    told = json.loads(child.stdout.readline())
    child.wait(30)
    _print("afterwards", *worker.work(lambda seconds: seconds < WINDOW))
    print(f"pruned {told['removed']:,} jobs in {told['seconds']:.1f} s, in {len(told['chunks']):,} transactions")
    for name, taken in zip(("waited for the lock", "held it"), zip(*told["chunks"], strict=True), strict=True):
        print(f"   {name}: median {statistics.median(taken):.1f} ms, worst {max(taken):.1f} ms", flush=True)
    worker.broker.close()
    connection.close()


def _print(name: str, rate: float, trips: list[float]) -> None:
    worst = f"{statistics.quantiles(trips, n=100)[98]:>10.2f}{max(trips):>10.2f}"
    print(f"{name:<24}{rate:>10,.0f}{statistics.median(trips):>10.2f}{worst}", flush=True)


class Worker:
    """Claims, settles and pushes, ten jobs a trip."""

    def __init__(self) -> None:
        self.broker, self.policy, self.id = registered("work")
        self.numbers = count(1)
        self.done: list[Any] = []
        self._push(100)

    def work(self, go_on: Callable[[float], bool]) -> tuple[float, list[float]]:
        """Jobs per second, and the milliseconds of each settle-and-claim, as long as `go_on` of the seconds says so."""
        from jobs import clock
        from jobs.broker.records import Completed, Settlement

        trips: list[float] = []
        ended, began = 0, perf_counter()
        while go_on(perf_counter() - began):
            at = perf_counter()
            jobs = self.broker.exchange(self.id, self.policy, self.done, BATCH, number=next(self.numbers)).jobs
            trips.append((perf_counter() - at) * 1_000)
            ended += len(self.done)
            now = clock.now()
            self.done = [Settlement(job, Completed("1"), now, now) for job in jobs]
            self._push(len(jobs))
        return ended / (perf_counter() - began), trips

    def _push(self, number: int) -> None:
        from jobs import clock
        from jobs.broker.records import NewJob

        self.broker.push(
            "work",
            [
                NewJob(id=clock.new_id(), queue="work", task="bench.task", message="{}", priority=5)
                for _ in range(number)
            ],
        )


if __name__ == "__main__":
    main()
