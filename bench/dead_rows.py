"""What the bounds against dead rows buy: claims behind an old snapshot, with and without them, in turn.

    python -m bench.dead_rows [--settled 10000 100000] [--rounds 60]

On a PostgreSQL of its own, in one process: so many jobs are settled while another session's snapshot is open; then a
job is pushed and claimed, with the bounds that the process keeps, and with none. Prints medians of one claim in
milliseconds; `no snapshot` is the same after it was closed and the table was vacuumed.
"""

from __future__ import annotations

import argparse
import statistics
from itertools import count
from time import perf_counter
from typing import Any

from .bulk import own_databases, set_up
from .worker import registered

_LOAD = """
    INSERT INTO jobs_job (id, run, queue, task, state, priority, message, created_at, ready_at, ended_at,
        attempts, starts, lost, alone, token, cancel_requested, error, reason, event, about_type, about_id)
    SELECT gen_random_uuid(), 1, 'bench', 'app.task', 'queued', 0, '{}', now(),
        clock_timestamp() - interval '1 hour' + n * interval '10 milliseconds', NULL,
        0, 0, 0, false, 0, false, '', '', '', '', ''
    FROM generate_series(1, %s) AS n
"""


def main() -> None:
    """Print a line for each number of settled jobs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--settled", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    with own_databases("postgresql", ["default"]) as urls:
        set_up(urls)
        print(f"{'settled behind it':>18}{'bounds ms':>12}{'none ms':>12}{'no snapshot ms':>16}")
        for settled in options.settled:
            print(f"{settled:>18,}" + "".join(measure(settled, options.rounds)), flush=True)


def measure(settled: int, rounds: int) -> list[str]:
    """The three medians."""
    import psycopg
    from django.db import connection

    names = ("host", "port", "user", "password", "dbname")
    address = {name: value for name, value in connection.get_connection_params().items() if name in names}
    broker, policy, worker = registered("bench", "default")
    numbers = count(1)
    with psycopg.connect(**address) as reader, psycopg.connect(**address, autocommit=True) as other:
        other.execute("TRUNCATE jobs_job CASCADE")
        other.execute(_LOAD, [settled])
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM jobs_job")
        other.execute("UPDATE jobs_job SET state = 'completed', ended_at = clock_timestamp()")
        took: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * rounds + 10):
            bounded = bool(number % 2)
            kept = dict(broker._dead_rows)
            if not bounded:
                broker._dead_rows.clear()
            milliseconds = claim(broker, policy, worker, numbers)
            if not bounded:
                broker._dead_rows.update(kept)
            if number >= 10:
                took[bounded].append(milliseconds)
        reader.rollback()
        other.execute("VACUUM jobs_job")
        plain = [claim(broker, policy, worker, numbers) for _ in range(rounds)]
    broker.close()
    connection.close()
    return [
        f"{statistics.median(times):>{width}.2f}" for times, width in ((took[True], 12), (took[False], 12), (plain, 16))
    ]


def claim(broker: Any, policy: Any, worker: Any, numbers: Any) -> float:
    """Milliseconds of the claim of one job that was just pushed; it is completed afterwards."""
    from jobs import clock
    from jobs.broker.records import Completed, NewJob, Settlement

    broker.push("bench", [NewJob(clock.new_id(), "bench", "bench.task", "{}", priority=0)])
    began = perf_counter()
    (job,) = broker.exchange(worker, policy, [], 1, number=next(numbers)).jobs
    taken = (perf_counter() - began) * 1_000
    now = clock.now()
    broker.exchange(worker, policy, [Settlement(job, Completed("1"), now, now)], 0, number=next(numbers))
    return taken


if __name__ == "__main__":
    main()
