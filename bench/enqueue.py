"""What one `enqueue` outside a transaction costs, part by part, beside the commit that it cannot do without.

    .venv/bin/python -m bench.enqueue [--jobs 3000] [--database postgres://user@host/empty_database]

Wall and CPU time of this process, in µs a job. The commit: the same row, written and committed by a bare connection
with the same durability, from values that are ready. `--profile` prints where the rest goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

_ROW = """
    INSERT INTO jobs_job (id, run, queue, task, state, priority, message, created_at, ready_at, attempts, starts, lost,
        alone, token, cancel_requested, error, reason, event, about_type, about_id)
    VALUES ({}, 1, 'bench', 'bench.task', 'queued', 5, {}, {}, {}, 0, 0, 0, {}, 0, {}, '', '', '', '', '')
"""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2_000)
    parser.add_argument("--database", default="", help="an empty database; default: a SQLite file of its own")
    parser.add_argument("--profile", action="store_true", help="print the functions that take longest")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="var") as folder:
        url = options.database or f"sqlite:///{Path(folder).resolve()}/bench.sqlite3"
        _set_up(url)
        task = _task()
        if options.profile:
            _profile(task, options.jobs)
            return
        from django.db import connection

        print(f"{options.jobs:,} jobs one by one, {connection.display_name}; µs a job, the best tenth")
        print(f"{'':<34}{'wall':>8}{'CPU':>8}")
        parts: dict[str, Callable[[int], object]] = {
            "enqueue": lambda number: task.enqueue(number, "name"),
            "the commit, by a bare connection": _bare(),
            "of it, arguments to JSON": lambda number: task.signature.encode((number, "name"), {}),
        }
        found = _measured(parts, options.jobs)
        whole, bare = found["enqueue"], found["the commit, by a bare connection"]
        found["enqueue less the commit"] = whole[0] - bare[0], whole[1] - bare[1]
        for name, (wall, cpu) in found.items():
            print(f"{name:<34}{wall * 1e6:>8.0f}{cpu * 1e6:>8.0f}")


def _set_up(url: str) -> None:
    from bench.bulk import set_up

    set_up({"default": url})


def _task() -> Any:
    from jobs import Queue

    @Queue("bench").task(name="bench.task")
    def task(number: int, name: str) -> None: ...

    return task


def _measured(parts: dict[str, Callable[[int], object]], number: int) -> dict[str, tuple[float, float]]:
    """Seconds of wall and of this process's CPU that each part takes; in turn, since disks have moods."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
    for each in range(number):
        for name, part in parts.items():
            wall, cpu = time.perf_counter(), time.process_time()
            part(each)
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: (_low(wall for wall, _ in times), _low(cpu for _, cpu in times)) for name, times in taken.items()}


def _low(values: Iterable[float]) -> float:
    """What a tenth of the calls stays below: what other programs and disks add is not the engine's."""
    return statistics.quantiles(values, n=10)[0]


def _bare() -> Callable[[int], object]:
    """Writes the same row by a connection of its own, as durably as Django's does."""
    from django.db import connection

    from jobs import clock

    message = '{"v":1,"args":[1,"name"],"kwargs":{}}'
    if connection.vendor == "sqlite":
        import sqlite3

        own = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        connection.ensure_connection()
        for pragma in ("journal_mode", "synchronous"):
            (value,) = connection.connection.execute(f"PRAGMA {pragma}").fetchone()
            own.execute(f"PRAGMA {pragma}={value}")
        row = _ROW.format("?", "?", "'2026-01-01 00:00:00.000000'", "'2026-01-01 00:00:00.000000'", "0", "0")
        return lambda number: own.execute(row, (clock.new_id().hex, message))
    import psycopg

    server = psycopg.connect(**_address(connection), autocommit=True, prepare_threshold=1)
    row = _ROW.format("%s", "%s", "clock_timestamp()", "clock_timestamp()", "false", "false")

    def write(number: int) -> object:
        id: UUID = clock.new_id()
        return server.execute(row, (id, message))

    return write


def _address(connection: Any) -> dict[str, Any]:
    ours = ("context", "cursor_factory", "prepare_threshold", "server_side_binding", "isolation_level", "pool")
    return {name: value for name, value in connection.get_connection_params().items() if name not in ours}


def _profile(task: Any, number: int) -> None:
    for each in range(100):
        task.enqueue(each, "name")
    profile = cProfile.Profile()
    profile.enable()
    for each in range(number):
        task.enqueue(each, "name")
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
