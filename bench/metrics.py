"""A scrape of /metrics at 1,000,000 jobs, on SQLite and PostgreSQL: at most 50 ms.

    .venv/bin/python -m bench.metrics [--jobs 1000000] [--sqlite URL] [--postgresql URL] [--times 20]

Fills what is not filled yet (see `bench.million`), as `bench.admin_pages` does. '-' leaves a database out. Prints the
median, the worst, and the number of queries of a scrape; ends with 1 if a median is above the limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from .admin_pages import _own_server
from .million import SQLITE, fill, set_up

LIMIT_MS = 50.0


def main() -> None:
    """Measure on both databases."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--sqlite", default=SQLITE)
    parser.add_argument("--postgresql", default="")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        set_up(options.child)
        fill(options.jobs, options.leads)
        measure(options.times)
        return
    databases = {"SQLite": options.sqlite, "PostgreSQL": options.postgresql or _own_server()}
    slow = False
    for name, url in databases.items():
        if url == "-":
            continue
        command = [sys.executable, "-m", "bench.metrics", "--child", url, "--times", str(options.times)]
        command += ["--jobs", str(options.jobs), "--leads", str(options.leads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        slow |= found["median"] > LIMIT_MS
        print(name, *(f"{key} {value:.1f}" for key, value in found.items()), flush=True)
    sys.exit(slow)


def measure(times: int) -> None:
    """One JSON line."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from jobs.metrics.text import metrics_text
    from jobs.models import TaskStat

    with CaptureQueriesContext(connection) as queries:
        size = len(metrics_text())
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        metrics_text()
        taken.append((time.perf_counter() - began) * 1_000)
    found = {"median": statistics.median(taken), "best": min(taken), "worst": max(taken), "queries": len(queries)}
    print(json.dumps({**found, "bytes": size, "counters": TaskStat.objects.count()}), flush=True)


if __name__ == "__main__":
    main()
