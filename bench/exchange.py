"""What an exchange costs (settle and claim, without an engine around it), beside another checkout of this repository.

    .venv/bin/python -m bench.exchange [--against ../other] [--vendor sqlite|postgresql] [--rounds 20]

Prints µs of CPU a job, of this side and of PostgreSQL's backend, the lower quarter of many short rounds, for exchanges
of 1, 10 and 50 jobs; with `--against` the two sides work in turn, and the ratios are medians of pairs of rounds, which
says more than the figures do on a busy machine. The other checkout must have the same contract of a broker. A git
worktree of a commit will do. Databases of its own, gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BATCHES = (1, 10, 50)
Cost = tuple[float, float]


def main() -> None:
    """Measure on each database, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", type=Path, help="another checkout, to be measured in turn with this one")
    parser.add_argument("--vendor", choices=["sqlite", "postgresql"], default="")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    checkouts = [ROOT, *([options.against.resolve()] if options.against else [])]
    for vendor in [options.vendor] if options.vendor else ["sqlite", "postgresql"]:
        print(f"{vendor}: µs of CPU a job{'':<12}{'client':>8}{'server':>8}{'ratio of the sum':>20}", flush=True)
        compare(vendor, checkouts, options.rounds)


def compare(vendor: str, checkouts: Sequence[Path], rounds: int) -> None:
    """Print what each checkout takes; the first is compared with the others."""
    from bench.bulk import own_databases

    names = [f"of_{index}" for index in range(len(checkouts))]
    with own_databases(vendor, names) as urls:
        sides = [_Side(checkout, urls[name]) for checkout, name in zip(checkouts, names, strict=True)]
        for batch in BATCHES:
            jobs = max(100, 20 * batch)
            found: list[list[Cost]] = [[] for _ in sides]
            for each in range(rounds + 1):
                for index in sorted(range(len(sides)), reverse=bool(each % 2)):
                    cost = sides[index].drain(batch, jobs)
                    if each:  # the first warms up
                        found[index].append(cost)
            for side, costs in zip(sides, found, strict=True):
                pairs = zip(found[0], costs, strict=True)
                ratio = statistics.median(sum(ours) / sum(theirs) for ours, theirs in pairs)
                client, server = (statistics.quantiles(part, n=4)[0] for part in zip(*costs, strict=True))
                told = f"{ratio:>20.2f}" if side is not sides[0] else ""
                print(f"  {side.name[:24]:<24} {batch:>3} a trip{client:>9.1f}{server:>8.1f}{told}", flush=True)
        for side in sides:
            side.end()


class _Side:
    """A process that works with one checkout's code."""

    def __init__(self, checkout: Path, url: str) -> None:
        self.name = checkout.name
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", url],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def drain(self, batch: int, jobs: int) -> Cost:
        """Push so many jobs and settle and claim them; returns the CPU a job of client and server."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a side without pipes")
        self._process.stdin.write(f"{batch} {jobs}\n")
        self._process.stdin.flush()
        client, server = self._process.stdout.readline().split()
        return float(client), float(server)

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def serve(url: str) -> None:
    """Work through what the lines of standard input ask for, and answer each."""
    from bench.bulk import set_up

    set_up({"default": url})
    from jobs import clock
    from jobs.broker.database.broker import DatabaseBroker
    from jobs.broker.records import Completed, NewJob, ProcessRecord, Settlement
    from jobs.policy import QueuePolicy

    broker, policy = DatabaseBroker("default"), QueuePolicy("bare")
    worker = ProcessRecord(clock.new_id(), "worker", "bare", "bench", os.getpid())
    broker.register(worker, 86_400)
    numbers = count(1)

    def drain(batch: int, jobs: int) -> Cost:
        for start in range(0, jobs, 1_000):
            ids = [clock.new_id() for _ in range(min(1_000, jobs - start))]
            broker.push("bare", [NewJob(id, "bare", "bench.task", '{"v":1,"args":[7],"kwargs":{}}', 0) for id in ids])
        taken = broker.exchange(worker.id, policy, [], batch, number=next(numbers)).jobs
        server = _backend(broker)
        client_began, server_began = time.process_time(), server()
        while taken:
            now = clock.now()
            done = [Settlement(job, Completed("1"), now, now) for job in taken]
            taken = broker.exchange(worker.id, policy, done, batch, number=next(numbers)).jobs
        return (time.process_time() - client_began) / jobs * 1e6, (server() - server_began) / jobs * 1e6

    for line in sys.stdin:
        batch, jobs = map(int, line.split())
        print(*drain(batch, jobs), flush=True)


def _backend(broker: object) -> Callable[[], float]:
    """The seconds of CPU that the process behind the broker's connection has taken; none on SQLite."""
    own = broker._database._own  # type: ignore[attr-defined]
    if not hasattr(own, "info"):
        return lambda: 0.0
    schedule = Path(f"/proc/{own.info.backend_pid}/schedstat")
    return lambda: int(schedule.read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
