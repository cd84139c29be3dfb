"""How soon an idle `run_huey` with three queues starts a job, and what it costs while nothing happens.

    .venv/bin/python -m bench.pickup [--jobs 300] [--idle 30] [--database postgres://user@host/empty_database]
                                     [--redis redis://host/0]

Pickup: from the return of `enqueue` in another process to the task's first line. Delayed: from a lone job's due time.
Idle: CPU of all processes of the `run_huey` together, and of each. On SQLite once more with the net alone: no word can
be heard.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Seconds between two jobs, between which everything has become idle again; and delays of lone jobs.
PAUSES, DELAYS = (0.03, 0.12), (0.3, 0.9)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--delayed", type=int, default=90)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds over which the idle CPU is measured")
    options = parse(parser)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        set_up(folder, options)
        print(
            f"{'':<16}{'pickup p50':>12}{'p99':>9}{'most':>9}{'delayed p50':>14}{'p99':>9}{'least':>9}{'idle CPU':>11}"
        )
        for label in ("with word",) if options.database or options.redis else ("with word", "the net alone"):
            if label == "the net alone":
                _forbid_word(folder)
            with running_huey(folder) as pid:
                time.sleep(6.0)
                idle = _idle_cpu(pid, options.idle)
                pickup = _pickup(folder, options.jobs)
                delayed = _delayed(folder, options.delayed)
            figures = [_ms(pickup, 50), _ms(pickup, 99), _ms(pickup, 100), _ms(delayed, 50), _ms(delayed, 99)]
            print(
                f"{label:<16}{figures[0]:>12}{figures[1]:>9}{figures[2]:>9}{figures[3]:>14}{figures[4]:>9}"
                f"{min(delayed) * 1000:>7.1f}ms{idle * 100:>10.2f}%"
            )


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What the command line says, with the stores that every benchmark of whole processes may be given."""
    parser.add_argument("--database", default="", help="an empty database; default: a SQLite file of its own")
    parser.add_argument("--redis", default="", help="a Redis server that keeps the jobs")
    return parser.parse_args()


def set_up(folder: Path, options: argparse.Namespace, queues: str = "") -> None:
    """Django on these stores, and the tables of the benchmark's database; `queues`: the module of other queues."""
    given = {"BENCH_QUEUES": queues, "BENCH_DATABASE": options.database, "BENCH_REDIS": options.redis}
    os.environ |= {"BENCH_NOTES": str(folder / "notes"), "DJANGO_SETTINGS_MODULE": "bench.site"}
    os.environ |= {name: value for name, value in given.items() if value}
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _forbid_word(folder: Path) -> None:
    """Put a file where the sockets would be: every process then looks by itself, as often as it must."""
    from jobs.broker import forget_broker
    from jobs.broker.database.sqlite.word import folder_of

    forget_broker()
    place = Path(folder_of(str(folder / "bench.sqlite3")))
    for left in place.glob("*"):
        left.unlink()
    place.rmdir()
    place.touch()


@contextmanager
def running_huey(folder: Path, workers: int = 3) -> Iterator[int]:
    """A `run_huey` with so many workers; its process id."""
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run_huey", "--no-reload"], cwd=ROOT, stdout=output, stderr=output
        )
    try:
        until = time.monotonic() + 60
        before = (folder / "log").read_text().count("worker_stopped")
        while (folder / "log").read_text().count("worker_started") - before < workers:
            if process.poll() is not None or time.monotonic() > until:
                sys.exit((folder / "output").read_text())
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _tasks() -> list[Any]:
    from bench.lanes import notes

    return notes


def _pickup(folder: Path, number: int) -> list[float]:
    """Seconds from the return of `enqueue` to the first line, for lone jobs of queues in turn."""
    returned = []
    base = _size(folder)
    for place in range(number):
        _tasks()[place % 3].enqueue(place)
        returned.append(time.monotonic())
        time.sleep(random.uniform(*PAUSES))
    return [at - returned[place] for place, _, at in _notes(folder, base, number)]


def _delayed(folder: Path, number: int) -> list[float]:
    """Seconds from the due time to the first line, of jobs that are alone in their queue."""
    base, due = _size(folder), []
    for round in range(number // 3):
        for place, task in enumerate(_tasks()):
            due.append(task.using(delay=random.uniform(*DELAYS)).enqueue(round * 3 + place).job.ready_at.timestamp())
        time.sleep(DELAYS[1] + 0.1)
    return [at - due[place] for place, at, _ in _notes(folder, base, len(due))]


def _size(folder: Path) -> int:
    return (folder / "notes").stat().st_size


def _notes(folder: Path, base: int, number: int) -> list[tuple[int, float, float]]:
    """What the tasks noted since: number, time and monotonic time of each start."""
    until = time.monotonic() + 20
    while True:
        lines = (folder / "notes").read_bytes()[base:].decode().splitlines()
        if len(lines) >= number:
            return [(int(line[0]), float(line[1]), float(line[2])) for line in (text.split() for text in lines)]
        if time.monotonic() > until:
            sys.exit(f"{len(lines)} of {number} jobs ran")
        time.sleep(0.05)


def _idle_cpu(pid: int, seconds: float) -> float:
    """The share of a core that the process and its children use meanwhile."""
    began, before = time.monotonic(), _cpu(pid)
    time.sleep(seconds)
    after = _cpu(pid)
    parts = {name: used - before.get(name, 0.0) for name, used in after.items()}
    passed = time.monotonic() - began
    print("  idle:", ", ".join(f"{name} {used / passed * 100:.2f}%" for name, used in parts.items()))
    return sum(parts.values()) / passed


def _cpu(pid: int) -> dict[str, float]:
    """CPU seconds so far, by what the process is; to the nanosecond, where `stat` counts hundredths."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    used: dict[str, float] = {}
    for each in (str(pid), *children):
        words = Path(f"/proc/{each}/cmdline").read_text().split("\0")
        name = words[words.index("--queue") + 1] if "--queue" in words else "keeper" if "keeper" in words else "parent"
        threads = Path(f"/proc/{each}/task").glob("*/schedstat")
        used[name] = sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    return used


def _ms(seconds: list[float], part: int) -> str:
    value = max(seconds) if part == 100 else statistics.quantiles(seconds, n=100)[part - 1]
    return f"{value * 1000:.1f}ms"


if __name__ == "__main__":
    main()
