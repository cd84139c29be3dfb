"""Processes and what they have started: found by /proc, measured, and ended with all of it.

Where there is no /proc, a process group is all that can be found.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .. import clock

logger = logging.getLogger("jobs.worker")

#: Seconds to wait for killed processes to be gone.
KILL_LIMIT = 5.0


def children_of(pid: int) -> set[int]:
    """The ids of its children; none where there is no /proc, or no such process."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found.update(map(int, Path(thread.path, "children").read_text().split()))
    return found


def descendants_of(pid: int) -> set[int]:
    """Its children, and theirs, and so on; what has lost its parent is below whoever is its subreaper."""
    found: set[int] = set()
    to_ask = [pid]
    while to_ask:
        more = children_of(to_ask.pop()) - found
        found |= more
        to_ask += more
    return found


def is_dead(pid: int) -> bool:
    """Whether there is no such process, or nobody has asked yet how it ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] in (b"Z", b"X")
    except OSError:
        return True


def memory_of(pid: int | str) -> int | None:
    """Bytes of memory that the process has in use (RSS); None where the system does not tell.

    Source: proc(5), `/proc/pid/statm`, the second number, in pages.
    """
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def memory_with_all(pid: int) -> int:
    """The same of it and all that it has started, together: what they share counts for each."""
    return sum(memory_of(one) or 0 for one in (pid, *descendants_of(pid)))


def end_with_all(process: subprocess.Popen[bytes], mark: bytes) -> None:
    """End a process that leads a group and is a subreaper, and all that it has started.

    Returns when all of it is dead, or stuck in the kernel for too long. `mark` is a line in the environment of what it
    has started, by which that is found where the process had died before.
    """
    if process.returncode is None:  # else its number may be another's
        # what is stopped starts nothing more, and keeps below itself what it has started
        _send(os.kill, process.pid, signal.SIGSTOP)
        _kill_all(lambda: descendants_of(process.pid))
        _send(os.killpg, process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_LIMIT)
    _kill_all(lambda: _marked(mark))


def _kill_all(find: Callable[[], set[int]]) -> None:
    until, quiet = clock.monotonic() + KILL_LIMIT, 0
    # twice: /proc may leave out a child while another one ends
    while quiet < 2:
        found = [pid for pid in find() if not is_dead(pid)]
        quiet = 0 if found else quiet + 1
        if clock.monotonic() > until:
            logger.error("programs_not_ended pids=%s: they may run beside the job's next start", found)
            return
        for pid in found:
            _send(os.kill, pid, signal.SIGKILL)
        if found:
            time.sleep(0.002)


def _marked(mark: bytes) -> set[int]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in Path(entry.path, "environ").read_bytes().split(b"\0"):
                        found.add(int(entry.name))
    return found


def _send(kill: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        kill(pid, number)
