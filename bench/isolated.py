"""How soon a job begins in a process of its own, beside one in a thread of the worker, in turns on one `run_huey`.

    .venv/bin/python -m bench.isolated [--jobs 300] [--kills 10] [--database postgres://user@host/empty_database]
                                       [--redis redis://host/0]

Start: from the claim to the task's first line, of lone jobs; a runner is warm. The first one waits for its process's
start. After a kill: from the job's time to the first line of the job that comes next on the same slot, which the spare
takes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from bench.pickup import parse, running_huey, set_up


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--kills", type=int, default=10)
    options = parse(parser)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        set_up(folder, options, "bench.isolated_lanes")
        from bench.isolated_lanes import hang_isolated, start_in_a_thread, start_isolated

        with running_huey(folder, workers=1):
            first = start_isolated.enqueue().result(timeout=60)
            starts: dict[str, list[float]] = {"thread": [], "isolated": []}
            for _ in range(options.jobs):
                for kind, task in (("thread", start_in_a_thread), ("isolated", start_isolated)):
                    starts[kind].append(task.enqueue().result(timeout=60))
                    time.sleep(0.01)
            after = []
            for _ in range(options.kills):
                killed, waits = hang_isolated.enqueue(), start_isolated.using(delay=0.1).enqueue()
                while killed.state in ("queued", "active"):
                    time.sleep(0.01)
                after.append(waits.result(timeout=60))
                time.sleep(2.0)  # until the next spare stands by
        print(f"{'':<12}{'p50':>9}{'p95':>9}{'most':>9}   claim to first line, {options.jobs} jobs each")
        for kind, figures in starts.items():
            print(f"{kind:<12}{_line(figures)}")
        if after:
            print(f"{'after a kill':<12}{_line(after)}   {len(after)} jobs")
        print(f"the very first: {first * 1000:.1f} ms")


def _line(figures: list[float]) -> str:
    ordered = sorted(figures)
    values = (statistics.median(ordered), ordered[int(len(ordered) * 0.95)], ordered[-1])
    return "".join(f"{value * 1000:>7.1f}ms" for value in values)


if __name__ == "__main__":
    main()
