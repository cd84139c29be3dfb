"""What the engine adds to a job, part by part, in µs of CPU a job, beside a bare loop over the broker.

    .venv/bin/python -m bench.path [--jobs 4000] [--rounds 3] [--vendor sqlite|postgresql]

Each figure is the median of some rounds and counts the CPU time of this process, of all its threads. Two tasks are run:
one that does nothing, and one of one system call, a write of 16 bytes, which gives the interpreter's lock away as most
tasks do. *execute* is the way from a claimed job to its settlement, less the task itself; *hand-over* is the pool over
an exchange of one system call, less one thread's loop; *announce* and *log line* are what follows a settlement. Then
the engine as a worker runs it, without log lines, less the bare loop that claims and settles as many jobs an exchange
as the engine has threads and runs the same task in between. Databases of its own, gone afterwards.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import count
from typing import Any

from .bulk import own_databases, set_up

THREADS = (1, 10, 50)
#: What DESIGN §3 allows, in µs a job.
BUDGET = {"execute": 20, "hand-over": 10, "log line": 10, "engine less bare loop": 30}


def nothing(number: int) -> None:
    """A task that does nothing."""


def write(number: int) -> None:
    """A task of one system call."""
    os.pwrite(_scratch(), b"sixteen bytes---", 0)


@cache
def _scratch() -> int:
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor


TASKS: dict[str, Callable[[int], None]] = {"does nothing": nothing, "writes 16 bytes": write}


def main() -> None:
    """Measure the parts once, and the engine on each database in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vendor", choices=["sqlite", "postgresql"], default="")
    parser.add_argument("--parts", action="store_true", help="only what needs no exchange")
    options = parser.parse_args()
    if not (options.vendor or options.parts):
        command = [sys.executable, "-m", "bench.path", "--jobs", str(options.jobs), "--rounds", str(options.rounds)]
        sys.exit(max(subprocess.run([*command, "--vendor", vendor]).returncode for vendor in ("sqlite", "postgresql")))
    with own_databases(options.vendor or "sqlite", ["default"]) as urls:
        set_up(urls)
        logging.getLogger("jobs").setLevel(logging.WARNING)
        if options.vendor != "postgresql":
            print(f"Python {platform.python_version()}, medians of {options.rounds}, µs of CPU a job")
            measure_parts(5 * options.jobs, options.rounds)
        if not options.parts:
            measure_engine(options.jobs, options.rounds)


def measure_parts(number: int, rounds: int) -> None:
    """Print execute, hand-over, announce and log line."""
    queue = _queue()
    for label, task in TASKS.items():
        jobs = _claimed(number, label)
        bare = _median(rounds, number, partial(_call, task, number))
        _print("execute", f"task {label}", _median(rounds, number, partial(_execute, queue, jobs)) - bare)
    for threads in THREADS:
        for label, task in TASKS.items():
            jobs = _claimed(number, label)
            loop = _median(rounds, number, partial(_loop, jobs, threads, task))
            over = _median(rounds, number, partial(_hand_over, jobs, threads, task)) - loop
            _print("hand-over", f"{threads} threads, task {label}", over)
    jobs = _claimed(number, "does nothing")
    quiet = _median(rounds, number, partial(_announce, queue, jobs))
    _print("announce", "no receiver, no log line", quiet)
    with tempfile.TemporaryFile("w") as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("{asctime} {levelname} {name}: {message}", style="{"))
        logger = logging.getLogger("jobs")
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.INFO)
        _print("log line", "", _median(rounds, number, partial(_announce, queue, jobs)) - quiet)
        logger.setLevel(logging.WARNING)
        logger.removeHandler(handler)


def measure_engine(number: int, rounds: int) -> None:
    """Print the engine beside the bare loop."""
    from django.db import connection

    for threads in THREADS[1:]:
        for label, task in TASKS.items():
            bare, engine, bare_wall, engine_wall = [], [], [], []
            for _ in range(rounds):
                cpu, wall = _drained(number, label, partial(_bare, threads, task))
                bare.append(cpu)
                bare_wall.append(wall)
                cpu, wall = _drained(number, label, partial(_engine, threads))
                engine.append(cpu)
                engine_wall.append(wall)
            where = f"{connection.display_name}, {threads} threads, task {label}"
            low, high = statistics.median(bare), statistics.median(engine)
            _print("bare loop (exchange)", where, low)
            _print("engine", where, high)
            _print("engine less bare loop", where, high - low)
            speed = statistics.median(bare_wall) / statistics.median(engine_wall)
            print(f"{'  of the bare loop':<24}{'':<56}CPU {low / high:.2f}, jobs/s {speed:.2f}", flush=True)


def _print(part: str, where: str, microseconds: float) -> None:
    budget = f"   budget {BUDGET[part]}" if part in BUDGET else ""
    print(f"{part:<24}{where:<48}{microseconds:>8.1f}{budget}", flush=True)


def _median(rounds: int, number: int, run: Callable[[], object]) -> float:
    run()
    figures = []
    for _ in range(rounds):
        begun = time.process_time()
        run()
        figures.append((time.process_time() - begun) / number * 1e6)
    return statistics.median(figures)


@cache
def _queue() -> Any:
    from jobs import Queue

    queue = Queue("bench", concurrency=10)
    for label, task in TASKS.items():
        queue.task(name=f"bench.{task.__name__}", aliases=(label,))(task)
    return queue


def _claimed(number: int, label: str) -> list[Any]:
    from jobs import clock
    from jobs.broker.records import ClaimedJob

    task, now = _queue().find_task(label), clock.now()
    message = task.signature.encode((7,), {})
    return [
        ClaimedJob(clock.new_id(), 1, "bench", task.name, message, 5, "1", 0, 0, 0, now, now) for _ in range(number)
    ]


def _call(task: Callable[[int], None], number: int) -> None:
    for index in range(number):
        task(index)


def _execute(queue: Any, jobs: list[Any]) -> None:
    from jobs import clock
    from jobs.work.execution import execute

    worker = clock.new_id()
    for job in jobs:
        execute(job, queue, worker)


def _settle(task: Callable[[int], None], job: Any) -> Any:
    from jobs.broker.records import Completed, Settlement

    task(7)
    return Settlement(job, Completed())


class _Stub:
    """An exchange that costs one system call, in which the interpreter's lock is free, as in every exchange."""

    def __init__(self, jobs: list[Any]) -> None:
        self.jobs, self.next, self.settled, self.ended = jobs, 0, 0, threading.Event()

    def exchange(self, worker: Any, policy: Any, settlements: Any, wanted: int, **options: Any) -> Any:
        from jobs.broker.records import Answer, Exchange, Settled

        write(0)
        self.settled += len(settlements)
        if self.settled == len(self.jobs):
            self.ended.set()
        claimed = self.jobs[self.next : self.next + wanted]
        self.next += len(claimed)
        return Exchange((Settled(Answer.COUNTED),) * len(settlements), tuple(claimed), 0.0 if claimed else None)


def _loop(jobs: list[Any], batch: int, task: Callable[[int], None]) -> None:
    stub, settlements = _Stub(jobs), []
    while claimed := stub.exchange(None, None, settlements, batch).jobs:
        settlements = [_settle(task, job) for job in claimed]


def _hand_over(jobs: list[Any], threads: int, task: Callable[[int], None]) -> None:
    from jobs.work.pool import Pool

    stub = _Stub(jobs)
    pool: Any = Pool(_queue(), stub, None, run=partial(_settle, task))  # type: ignore[arg-type]
    pool.announcer.put = lambda settlement, settled: None  # measured by itself
    crew = [threading.Thread(target=pool.work) for _ in range(threads)]
    for thread in crew:
        thread.start()
    stub.ended.wait()
    pool.close()
    for thread in crew:
        thread.join()


def _announce(queue: Any, jobs: list[Any]) -> None:
    from jobs.broker.records import Completed, Settlement
    from jobs.work.announce import announce

    for job in jobs:
        announce(queue, Settlement(job, Completed(), job.claimed_at, job.claimed_at))


def _drained(number: int, label: str, run: Callable[[Any], None]) -> tuple[float, float]:
    """The CPU µs and the seconds a job of working on a fresh load until nothing is left."""
    from jobs import clock
    from jobs.broker import get_broker
    from jobs.broker.records import ProcessRecord

    _queue().find_task(label).enqueue_many(list(range(number)))
    record = ProcessRecord(clock.new_id(), "worker", "bench", "bench", os.getpid())
    get_broker().register(record, 3600)
    cpu, wall = time.process_time(), time.perf_counter()
    run(record.id)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    get_broker().release(record, lost=False)
    return cpu / number * 1e6, wall / number


def _bare(batch: int, task: Callable[[int], None], worker: Any) -> None:
    from jobs import clock
    from jobs.broker import get_broker
    from jobs.broker.records import Completed, Settlement

    broker, policy = get_broker(), _queue().policy
    settlements: list[Settlement] = []
    numbers = count(1)
    while jobs := broker.exchange(worker, policy, settlements, batch, number=next(numbers)).jobs:
        settlements = []
        for job in jobs:
            began = clock.now()
            task(7)
            settlements.append(Settlement(job, Completed(), began, clock.now()))


def _engine(threads: int, worker: Any) -> None:
    from jobs.broker import get_broker
    from jobs.work.consumer import QueueConsumer

    consumer = QueueConsumer(_queue(), get_broker(), worker, threads=threads, grace=30)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    while consumer.pool.held or get_broker().counts("bench").waiting:
        time.sleep(0.02)
    consumer.drain()
    thread.join()


if __name__ == "__main__":
    main()
