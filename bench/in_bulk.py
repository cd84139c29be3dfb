"""Rows a second that jobs insert: each job by itself, and a hundred jobs in one call, in turns on one `run_huey`.

    .venv/bin/python -m bench.in_bulk [--jobs 10000] [--rounds 3] [--database postgres://user@host/empty_database]
                                      [--redis redis://host/0]

The jobs are enqueued while their queue is paused; the time begins when it may go on, and ends when the last job's end
is known to the history. Ten threads.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.pickup import parse, running_huey, set_up


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parse(parser)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        set_up(folder, options, "bench.in_bulk_lanes")
        from bench.in_bulk_lanes import insert_many, insert_one

        tasks = {"one job a call": insert_one, "100 jobs a call": insert_many}
        found: dict[str, list[float]] = {kind: [] for kind in tasks}
        with running_huey(folder, workers=2):
            for task in tasks.values():
                _rate(task, 200, "warm")
            for number in range(options.rounds):
                for kind, task in tasks.items():
                    found[kind].append(_rate(task, options.jobs, str(number)))
    print(
        f"{'rows a second':<18}{'median':>10}{'least':>10}{'most':>10}   {options.jobs:,} jobs, {options.rounds} rounds"
    )
    for kind, rates in found.items():
        print(f"{kind:<18}{statistics.median(rates):>10,.0f}{min(rates):>10,.0f}{max(rates):>10,.0f}")


def _rate(task: Any, number: int, mark: str) -> float:
    import jobs

    queue = task.queue.name
    before = jobs.counts(queue).completed
    jobs.pause(queue)
    task.enqueue_many([f"{task.name} {mark} {row}" for row in range(number)])
    began = time.monotonic()
    jobs.resume(queue)
    while jobs.counts(queue).completed < before + number:
        if time.monotonic() > began + 300:
            raise SystemExit(f"{jobs.counts(queue)} after 300 s")
        time.sleep(0.01)
    return number / (time.monotonic() - began)


if __name__ == "__main__":
    main()
