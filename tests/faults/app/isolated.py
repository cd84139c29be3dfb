"""Isolated tasks, for the sites that ask for them (FAULTS_ISOLATED): their workers have runners."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.utils import translation

from jobs import Fixed, PermanentError, RetryLater, current_job

from . import programs
from .queues import work
from .tasks import launch, nap_at_first, walk, write


@work.task(isolated=True, timeout=60)
def alone_nap(seconds: float = 0.0) -> int:
    """Returns the id of its process."""
    write("start")
    select.select([], [], [], seconds)
    write("end")
    return os.getpid()


@work.task(isolated=True, timeout=60)
def alone_since_claim() -> float:
    """Seconds from its claim to its first line."""
    since = current_job().claimed.seconds_since_claim()
    write("start")
    write("end")
    return since


@work.task(isolated=True, timeout=1_000)
def alone_nap_at_first(seconds: float) -> None:
    """See `nap_at_first`."""
    nap_at_first.func(seconds)


@work.task(isolated=True, timeout=1, attempts=1)
def alone_match() -> None:
    """One regular expression that would take years."""
    write("start")
    re.match(r"(a+)+$", "a" * 60 + "b")


@work.task(isolated=True, timeout=2, attempts=1)
def alone_launch(ways: list[str], mark: str) -> None:
    """Start programs in these ways, and go on past its time."""
    write("start")
    for way in ways:
        programs.WAYS[way](mark)
    (settings.FOLDER / "launched").touch()
    select.select([], [], [], 600)


@work.task(isolated=True, timeout=600)
def alone_launch_once(ways: list[str], mark: str) -> list[int]:
    """Start programs in these ways at the first start; each start answers which ran already."""
    return launch.func(ways, mark, 600)


@work.task(isolated=True, timeout=60, memory=512, attempts=1)
def alone_hoard(mebibytes: int, in_a_child: bool = False) -> int:
    """Take memory, by itself or in a program."""
    write("start")
    if in_a_child:
        code = f"import time; x = bytearray(b'x' * ({mebibytes} << 20)); time.sleep(60)"
        subprocess.run([sys.executable, "-c", code], check=False)
    else:
        hoarded = bytearray(b"x" * (mebibytes * 1024 * 1024))
        select.select([], [], [], 0.5)
        del hoarded
    write("end")
    return os.getpid()


@work.task(isolated=True, timeout=60, attempts=2, backoff=Fixed(0))
def alone_leave(way: str) -> int:
    """At the first attempt its process ends in this way."""
    write("start")
    if current_job().attempt == 1:
        if way == "exit":
            os._exit(3)
        if way == "crash":
            ctypes.string_at(0)
        os.kill(os.getpid(), signal.SIGKILL)
    write("end")
    return current_job().lost


@work.task(isolated=True, timeout=60)
def alone_end(way: str) -> Any:
    """Say how it ended, and what is known while it runs."""
    write("start")
    job = current_job()
    if way == "permanent":
        raise PermanentError("for good")
    if way == "later" and job.starts == 1:
        raise RetryLater(0.01, reason="not yet")
    if way == "cancel":
        until = time.monotonic() + 50
        while time.monotonic() < until:
            job.check_cancelled()
            time.sleep(0.02)
    if way == "step":
        job.progress(1, 2, "half")
        job.log("a line")
        if job.step("once", os.getpid) and job.attempt == 1:
            raise OSError("again")
    write("end")
    return [job.starts, translation.get_language(), os.getpid()]


@work.task(isolated=True, timeout=0.5, attempts=1)
async def alone_async(seconds: float) -> str:
    """On a loop of its own."""
    write("start")
    await asyncio.sleep(seconds)
    write("end")
    return "slept"


@work.task(isolated=True, timeout=600)
def alone_walk(items: int) -> int:
    """See `walk`."""
    return walk.func(items)


@work.task(timeout=0.1, attempts=1)
def deaf(path: str) -> str:
    """In a thread: open a pipe, and hear nothing until somebody writes into it."""
    write("start")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    write("end")
    return text
