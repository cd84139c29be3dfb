"""Jobs per second through the whole engine, beside a bare loop over the broker, in one run.

    .venv/bin/python -m bench.engine [--jobs 20000] [--threads 10] [--database postgres://user@host/empty] [--redis URL]

The jobs do nothing: what is measured is claiming, decoding, running, settling, history and a log line a job. The bare
loop claims and settles as many jobs a trip as the engine has threads, and does nothing in between.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--database", default="", help="an empty database; default: a SQLite file of its own")
    parser.add_argument("--redis", default="", help="a Redis server that keeps the jobs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _set_up(Path(folder), options.database, options.redis)
        print(f"{options.jobs:,} jobs, {options.threads} threads, {_vendor()}, best of {options.rounds}")
        print(f"{'':<28}{'jobs/s':>10}{'CPU µs/job':>12}{'of bare':>10}")
        bare = _best(options, _bare)
        _print("bare broker loop", bare, bare)
        for label, level in (("engine", logging.WARNING), ("engine, a log line a job", logging.INFO)):
            logging.getLogger("jobs").setLevel(level)
            _print(label, _best(options, _engine), bare)


def _set_up(folder: Path, database: str, redis: str) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    from config.settings.env import Environment

    settings.configure(
        INSTALLED_APPS=["jobs", "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin"],
        DATABASES={"default": Environment({"URL": database}).database("URL", "sqlite:///bench.sqlite3", folder)},
        JOBS={"REDIS_URL": redis, "NAMESPACE": f"bench-{os.getpid()}"},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    logging.basicConfig(stream=(folder / "log").open("w"), format="%(asctime)s %(levelname)s %(message)s")
    django.setup()
    call_command("migrate", verbosity=0)


def _vendor() -> str:
    from django.db import connection

    return connection.display_name


def _best(options: argparse.Namespace, run: Callable[[int, int], None]) -> tuple[float, float]:
    """The best (jobs per second, CPU seconds per job) of some rounds, each on a fresh load."""
    rounds = []
    for _ in range(options.rounds):
        _load(options.jobs)
        wall, cpu = time.perf_counter(), time.process_time()
        run(options.jobs, options.threads)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rounds.append((options.jobs / wall, cpu / options.jobs))
    return max(rounds)


def _print(label: str, figures: tuple[float, float], bare: tuple[float, float]) -> None:
    print(f"{label:<28}{figures[0]:>10,.0f}{figures[1] * 1e6:>12.0f}{figures[0] / bare[0]:>10.2f}")


def _queue() -> Any:
    from jobs import Queue
    from jobs.defined import _made

    if "bench" in _made:
        return _made["bench"]
    queue = Queue("bench", concurrency=10)

    @queue.task(name="bench.nothing")
    def nothing(number: int) -> None: ...

    _queue.kept = queue  # type: ignore[attr-defined]
    return queue


def _load(number: int) -> None:
    task = _queue().tasks["bench.nothing"]
    task.enqueue_many(list(range(number)))


@contextmanager
def _worker(threads: int) -> Iterator[Any]:
    from jobs import clock
    from jobs.broker import get_broker
    from jobs.broker.records import ProcessRecord

    record = ProcessRecord(clock.new_id(), "worker", "bench", "bench", os.getpid(), threads)
    get_broker().register(record, 3600)
    yield record.id
    get_broker().release(record, lost=False)


def _bare(number: int, threads: int) -> None:
    from jobs import clock
    from jobs.broker import get_broker
    from jobs.broker.records import Completed, Settlement

    broker, policy = get_broker(), _queue().policy
    with _worker(threads) as worker:
        settlements: list[Settlement] = []
        for exchange_number in count(1):
            answer = broker.exchange(worker, policy, settlements, threads, number=exchange_number)
            if not answer.jobs:
                break
            now = clock.now()
            settlements = [Settlement(job, Completed(), now, now) for job in answer.jobs]


def _engine(number: int, threads: int) -> None:
    from jobs.broker import get_broker
    from jobs.work.consumer import QueueConsumer

    queue = _queue()
    with _worker(threads) as worker:
        consumer = QueueConsumer(queue, get_broker(), worker, threads=threads, grace=30)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        while consumer.pool.held or get_broker().counts("bench").waiting:
            time.sleep(0.02)
        consumer.drain()
        thread.join()


if __name__ == "__main__":
    main()
