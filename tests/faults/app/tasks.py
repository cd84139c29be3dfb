"""Tasks that write a ledger: one line for each start, appended in one write, before anything else happens."""

import asyncio
import logging
import math
import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F
from huey import crontab

from jobs import Breaker, BulkJob, Cancelled, Limit, RateLimit, RunningJob, current_job

from . import forks, programs
from .models import Counter
from .queues import other, paced, work


def write(word: str, job: RunningJob | None = None) -> None:
    claimed = (job or current_job())._claimed
    at = time.time() - settings.CLOCK_ERROR
    worker = os.getppid() if "runner" in sys.argv else os.getpid()
    line = f"{word} {claimed.id} {claimed.token} {worker} {at:.6f} {claimed.queue}\n"
    ledger = os.open(settings.FOLDER / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, line.encode())
    os.close(ledger)


@work.task()
def nap(seconds: float = 0.0) -> None:
    write("start")
    # under libfaketime time.sleep fails
    select.select([], [], [], seconds)
    write("end")


SHARED = Limit("shared", RateLimit(10, per=1))


@work.task(limits=[SHARED])
def call_provider() -> None:
    write("start")
    write("end")


@paced.task(limits=[SHARED])
def call_provider_too() -> None:
    write("start")
    write("end")


CARRIER = Breaker("carrier", failures=3, within=60, probe_after=1)


@work.task(attempts=20, limits=[CARRIER])
def call_carrier() -> None:
    """Fail while a file says that the carrier is away, and hang while one says that it hangs."""
    write("start")
    while (settings.FOLDER / "carrier-hangs").exists():
        select.select([], [], [], 0.05)
    if (settings.FOLDER / "carrier-away").exists():
        raise ConnectionError("the carrier is away")
    write("end")


@work.task()
async def wait_async(seconds: float) -> None:
    """Wait on the worker's loop."""
    write("start")
    await asyncio.sleep(seconds)
    write("end")


@work.task()
async def fork_async() -> int:
    """A child comes back to the engine; returns its exit code."""
    write("start")
    await asyncio.sleep(0)
    if (child := os.fork()) == 0:
        raise SystemExit(7)
    write("end")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_hoarded: list[bytearray] = []


@work.task()
def hoard(mebibytes: int) -> None:
    """Take memory and keep it."""
    write("start")
    _hoarded.append(bytearray(b"x" * (mebibytes * 1024 * 1024)))
    write("end")


@work.task()
def nap_at_first(seconds: float) -> None:
    """Only its first start takes long: that it runs again is seen at once."""
    write("start")
    if current_job()._claimed.starts == 0:
        select.select([], [], [], seconds)
    write("end")


@dataclass(frozen=True)
class Nap:
    seconds: float = 0.0


@work.task(bulk=10, bulk_min=5, wait=1)
def nap_in_bulk_at_first(jobs: list[BulkJob[Nap]]) -> None:
    """The same of several jobs in one call."""
    for job in jobs:
        write("start", job)
    if all(job.starts == 1 for job in jobs):
        select.select([], [], [], max(job.args.seconds for job in jobs))
    for job in jobs:
        write("end", job)


@work.task()
def die() -> None:
    write("start")
    os.kill(os.getpid(), signal.SIGKILL)


@work.task()
def hold_interpreter(seconds: float) -> None:
    """One regular expression that keeps all other threads from running for `seconds`, roughly."""
    write("start")
    # each further letter doubles the time
    length = 19 + math.ceil(math.log2(seconds / min(_match(19) for _ in range(3))))
    _match(length)
    write("end")


def _match(length: int) -> float:
    began = time.monotonic()
    re.match(r"(a+)+$", "a" * length + "b")
    return time.monotonic() - began


@work.task()
def wait_for_cancel() -> None:
    write("start")
    until = time.monotonic() + 100
    while time.monotonic() < until:
        if current_job().cancel_requested:
            raise Cancelled("as asked")
        time.sleep(0.02)


@paced.task()
def step(seconds: float = 0.0) -> None:
    write("start")
    select.select([], [], [], seconds)
    write("end")


@work.task(atomic=True)
def count() -> None:
    write("start")
    Counter.objects.filter(pk=1).update(value=F("value") + 1)
    write("end")


@work.task(atomic=True)
def grow(number: int) -> None:
    """Add jobs to the batch that this one is of."""
    write("start")
    batch = current_job().batch
    assert batch is not None
    batch.add_many(nap.bind() for _ in range(number))
    write("end")


@other.task()
def blink() -> None:
    write("start")
    write("end")


@other.periodic_task(crontab(minute="*"))
def every_minute() -> None:
    write("start")
    write("end")


@work.task()
def play(case: str) -> Any:
    """One case of `forks`."""
    write("start")
    answer = forks.CASES[case]()
    write("end")
    return answer


@work.task()
def launch(ways: list[str], mark: str, seconds: float) -> list[int]:
    """Start programs in these ways at the first start; each start answers which ran already."""
    write("start")
    found = programs.running(mark)
    if current_job()._claimed.starts == 0:
        for way in ways:
            programs.WAYS[way](mark)
        (settings.FOLDER / "launched").touch()
        select.select([], [], [], seconds)
    write("end")
    return found


@other.task()
def launch_elsewhere(way: str, mark: str) -> None:
    """Start a program on another queue."""
    programs.WAYS[way](mark)


@work.task()
def orphan(number: int) -> None:
    """Leave so many programs behind, which end at once."""
    for _ in range(number):
        subprocess.run(["sh", "-c", "sleep 0.01 &"], check=True)


@work.task()
def say(lines: int, size: int) -> None:
    """Log and print so many lines."""
    write("start")
    for number in range(lines):
        logging.getLogger("faults").error("said %d %s", number, "." * size)
        print("printed", number, "." * size, file=sys.stderr)
        print("printed", number, "." * size)
    write("end")


@work.task(atomic=True)
def fork_and_count(way: str) -> int:
    """An atomic task whose child leaves by a way of its own."""
    write("start")
    Counter.objects.filter(pk=1).update(value=F("value") + 1)
    if pid := os.fork():
        code = forks.exit_code(pid)
        write("end")
        return code
    if way == "return":
        return 0
    raise SystemExit(3) if way == "exit" else ValueError("in the child")


if os.environ.get("FAULTS_RELEASE") == "new":

    @work.task()
    def added_later() -> None:
        write("start")
        write("end")


@work.task()
def walk(items: int) -> int:
    """Notes each item in a file of its own, one line in one write; a few milliseconds each."""
    write("start")
    job = current_job()
    notes = os.open(settings.FOLDER / f"items-{job.id.hex}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for item in job.iterate(range(items), every=0.05):
        os.write(notes, f"{item}\n".encode())
        job.progress(item + 1, items)
        job.log(f"item {item}")
        select.select([], [], [], 0.004)
    os.close(notes)
    write("end")
    return items


@work.task()
def touch(key: str) -> None:
    """What many calls of one key ask for."""
    write("start")
    select.select([], [], [], 0.01)
    write("end")


if os.environ.get("FAULTS_ISOLATED"):
    from .isolated import *  # noqa: F403
