"""The queues of the benchmarks that start a `run_huey`; their tasks note when their first line ran."""

from __future__ import annotations

import os
import time

from jobs import Queue

first, second, third = (Queue(name, concurrency=5) for name in ("first", "second", "third"))
_NOTES = os.open(os.environ["BENCH_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _note(number: int) -> None:
    wall, monotonic = time.time(), time.monotonic()
    os.write(_NOTES, f"{number} {wall!r} {monotonic!r}\n".encode())


notes = [queue.task(name=f"bench.{queue.name}")(_note) for queue in (first, second, third)]
