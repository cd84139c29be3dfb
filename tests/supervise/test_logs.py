"""Logging never decides whether jobs run."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.management.commands.run_huey import _log_to_the_terminal
from tests.faults.harness import Site, cpu_seconds, wait_for

POSTS = ("work/1", "paced/1", "other/1", "keeper")


class FullPipe:
    """A pipe of 4 KiB that nobody reads, and that is full."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(self.into, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.into, b"\n" * 1024)
        os.set_blocking(self.into, True)

    def read_on(self) -> list[bytes]:
        """From now on somebody reads; returns what arrives, which grows."""
        arrived: list[bytes] = []

        def read() -> None:
            while part := os.read(self.out, 65536):
                arrived.append(part)

        threading.Thread(target=read, daemon=True).start()
        return arrived

    def close(self) -> None:
        os.close(self.into)


@pytest.fixture
def pipe() -> Iterator[FullPipe]:
    pipe = FullPipe()
    yield pipe
    pipe.close()


def completed(site: Site, queue: str) -> int:
    return site.states(queue)["completed"]


@pytest.mark.slow
def test_a_full_log_pipe_stalls_no_queue_and_what_was_dropped_is_told(site: Site, pipe: FullPipe) -> None:
    huey = site.run_huey(wait=False, output=pipe.into)
    site.enqueue("[say.enqueue(40, 20_000), nap.enqueue_many([0.0] * 50), blink.enqueue(), step.enqueue()]")
    wait_for(lambda: completed(site, "work") == 51)
    wait_for(lambda: completed(site, "other") >= 1)
    wait_for(lambda: completed(site, "paced") == 1)
    worker = next(pid for pid in huey.children() if b"\0work\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: worker not in huey.children())
    later = site.enqueue("nap.enqueue()")
    wait_for(lambda: site.job(later)["state"] == "completed", what="the supervisor goes on as well")

    site.enqueue("say.enqueue(40, 20_000)")
    wait_for(lambda: completed(site, "work") == 53)
    arrived = pipe.read_on()
    wait_for(lambda: b"log_lines_dropped lines=" in b"".join(arrived))
    site.enqueue("nap.enqueue()")
    wait_for(lambda: b"".join(arrived).rpartition(b"log_lines_dropped")[2].count(b"job_completed"))
    assert huey.stop() == 0
    assert b"supervisor_stopped" in b"".join(arrived)


@pytest.mark.slow
def test_a_log_pipe_that_is_full_for_a_minute_costs_nothing(site: Site, pipe: FullPipe) -> None:
    huey = site.run_huey(wait=False, output=pipe.into)
    site.enqueue("[say.enqueue(40, 20_000), blink.enqueue(), step.enqueue()]")
    wait_for(lambda: completed(site, "work") == 1)
    before, until = cpu_seconds(huey.pid), time.monotonic() + 60
    count = 1
    while time.monotonic() < until:
        site.enqueue("[nap.enqueue(), step.enqueue(), blink.enqueue()]")
        count += 1
        wait_for(lambda: completed(site, "work") == count and completed(site, "paced") == count)  # noqa: B023
    assert cpu_seconds(huey.pid) - before < 1
    assert site.manage("jobs", "status", "--check").returncode == 0


@pytest.mark.slow
def test_run_huey_ends_in_time_though_nobody_reads_its_log(site: Site, pipe: FullPipe) -> None:
    huey = site.run_huey(wait=False, output=pipe.into)
    job = site.enqueue("say.enqueue(40, 20_000)")
    wait_for(lambda: site.job(job)["state"] == "completed")
    began = time.monotonic()
    assert huey.stop() == 0
    assert time.monotonic() - began < 8, "the grace time is 10"


@pytest.mark.slow
def test_broken_log_handlers_and_filters_end_nothing(site: Site) -> None:
    huey = site.run_huey(FAULTS_BROKEN_LOGS="INFO")
    site.enqueue("[nap.enqueue_many([0.0] * 20), say.enqueue(1, 1), blink.enqueue(), step.enqueue()]")
    wait_for(lambda: completed(site, "work") == 21)
    os.kill(huey.child("other/1"), signal.SIGKILL)
    wait_for(lambda: len(huey.started("other/1")) == 2, what="the supervisor tells of it and goes on")
    assert [len(huey.started(post)) for post in POSTS] == [1, 1, 2, 1]
    assert huey.count("job_completed") >= 22, "who listens behind the broken ones hears all the same"
    assert huey.stop() == 0


@pytest.fixture
def jobs_logger() -> Iterator[logging.Logger]:
    """The engine's logger, with no handler in sight."""
    loggers = [logging.root, logging.getLogger("jobs")]
    before = [(logger.level, logger.handlers[:]) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = []
    logging.root.setLevel(logging.WARNING)
    loggers[1].propagate = False  # what pytest adds to the root does not count
    yield loggers[1]
    loggers[1].propagate = True
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


def prepare(logger: logging.Logger) -> None:
    """As where no setting speaks of logs; pytest hangs its own handlers everywhere."""
    logger.setLevel(logging.NOTSET)
    logger.handlers[:] = []


def test_without_any_setting_the_engine_s_lines_are_shown(jobs_logger: logging.Logger) -> None:
    prepare(jobs_logger)
    _log_to_the_terminal()
    assert jobs_logger.getEffectiveLevel() == logging.INFO
    assert len(jobs_logger.handlers) == 1


@pytest.mark.parametrize("name", ["jobs", "root"])
def test_a_level_that_the_settings_chose_stands(jobs_logger: logging.Logger, name: str) -> None:
    prepare(jobs_logger)
    logging.getLogger(name if name == "jobs" else None).setLevel(logging.ERROR)
    _log_to_the_terminal()
    assert jobs_logger.getEffectiveLevel() == logging.ERROR
