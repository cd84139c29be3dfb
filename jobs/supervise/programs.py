"""What the tasks of a worker have started: it ends before the dead worker's jobs go to others (DESIGN G10).

On Linux the supervisor is a *subreaper*: whatever loses its parent below it becomes its child, however it tried to get
away. Whose it was is told by its process group and session and by the mark in its environment; what has neither is
counted to the worker with whose death it appeared. Elsewhere a worker's process group is all that can be found.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .. import clock
from ..work.trees import KILL_LIMIT, children_of
from .children import MARK, Child

logger = logging.getLogger("jobs.supervisor")

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class Programs:
    """The processes that became this one's children because their parents are dead."""

    def __init__(self) -> None:
        self._strangers = children_of(os.getpid())  # of the program that became this one, or of the project's settings
        self._known: set[int] = set()  # orphans at the last look
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def look(self, living: Sequence[Child]) -> None:
        """Let go of those that have ended; to be called once a second, and when a child has ended."""
        orphans = {pid for pid in self._orphans(living) if not _is_reaped(pid)}
        if all(child.process.poll() is None for child in living):
            self._known = orphans

    def end_those_of(self, dead: Child, living: Sequence[Child]) -> None:
        """End what the dead child's tasks had started; returns when it is gone, or stuck in the kernel for too long."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(dead.process.pid, signal.SIGKILL)
        until, quiet = clock.monotonic() + KILL_LIMIT, 0
        # twice: /proc may leave out a child while another one ends
        while quiet < 2:
            found = [pid for pid in self._orphans(living) if not _is_reaped(pid) and self._is_of(pid, dead, living)]
            quiet = 0 if found else quiet + 1
            if clock.monotonic() > until:
                logger.error("programs_not_ended %s pids=%s: they may run beside the jobs' next start", dead, found)
                return
            for pid in found:  # what these had started then comes to light as well
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if found:
                time.sleep(0.002)

    def _orphans(self, living: Sequence[Child]) -> set[int]:
        return children_of(os.getpid()) - {child.process.pid for child in living} - self._strangers

    def _is_of(self, pid: int, dead: Child, living: Sequence[Child]) -> bool:
        try:
            if dead.process.pid in (os.getpgid(pid), os.getsid(pid)):
                return True
        except ProcessLookupError:
            return False
        mark = _mark_of(pid)
        if mark == str(dead.worker):
            return True
        return mark not in {str(child.worker) for child in living} and pid not in self._known


def _mark_of(pid: int) -> str | None:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    marks = [line.partition(b"=")[2].decode() for line in variables if line.startswith(f"{MARK}=".encode())]
    return marks[0] if marks else None


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
