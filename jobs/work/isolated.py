"""One runner as its worker sees it: started, given a job, and killed at the job's limits with all that it started."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from uuid import UUID

from .. import clock
from ..broker.records import ClaimedJob
from ..define.context import RunningJob
from ..define.isolation import Isolation
from ..errors import JobsError, OutOfMemory, OutOfTime, ProcessDied
from . import stacks
from .frames import Begun, Cancel, End, Ended, Ready, Stop, Work, heard_by_worker, send
from .trees import children_of, end_with_all, is_dead, memory_of, memory_with_all
from .wear import MIB

logger = logging.getLogger("jobs.worker")

#: The variable that tells of whatever a runner's jobs start which runner it belongs to.
RUNNER_MARK = "JOBS_RUN_BY"
#: How often memory, a request to cancel and the worker's stop are looked at, in seconds.
LOOK_EVERY = 0.2
#: Seconds past its time until a job is killed: one that looks at `time_remaining`, or is async, stops by itself.
MARGIN = 0.1
#: Seconds that a runner may need until it is ready, and until it reads its job.
START_LIMIT = 60.0
#: Seconds that a runner may need for its end by itself.
EXIT_TIME = 2.0
#: Looks at which a request to cancel is passed on; the first may come too early.
TIMES_ASKED = 5
#: A runner with so many dead children, whom it is nobody's to forget but theirs, is replaced.
MOST_DEAD = 16


@dataclass(frozen=True, slots=True)
class Broken:
    """A job that its runner did not end: why, where it was, and when it began by `clock.monotonic()`."""

    error: JobsError
    trace: str
    began: float


class Runner:
    """A runner process."""

    def __init__(self, command: Sequence[str], queue: str, worker: UUID) -> None:
        ours, theirs = socket.socketpair()
        self._mark = f"{RUNNER_MARK}={clock.new_id()}"
        self._stacks = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `kill`
        ends = theirs.fileno(), self._stacks.fileno()
        try:
            self._process = subprocess.Popen(
                [*command, *f"--child runner --queue {queue} --worker-id {worker} --pipes {ends[0]},{ends[1]}".split()],
                pass_fds=ends,
                env={**os.environ, **dict([self._mark.split("=", 1)])},
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError:
            ours.close()
            self._stacks.close()
            raise
        finally:
            theirs.close()
        self._connection = Connection(ours.detach())
        self._ending_lock = threading.Lock()
        self._asking_lock = threading.Lock()
        self._told = 0  # so much of what it has written was an answer
        self.job: UUID | None = None
        self._ready = False
        self._fresh = 0  # its memory before its first job
        self.jobs = 0

    def __str__(self) -> str:
        return f"pid={self._process.pid}"

    @property
    def is_alive(self) -> bool:
        """Whether it has not died, as far as is known."""
        return not self._has_died(0)

    def get_ready(self) -> str:
        """Wait until it can take a job; returns why it cannot, empty where it can."""
        if self._ready:
            return ""
        if self._connection.poll(START_LIMIT) and isinstance(heard_by_worker(self._connection), Ready):
            self._ready = True
            self._fresh = memory_of(self._process.pid) or 0
            return ""
        return self._ending() if self._has_died(EXIT_TIME) else f"it was not ready after {START_LIMIT:.0f} s"

    def run(self, job: ClaimedJob, limits: Isolation, seen: RunningJob) -> Ended | Broken | None:
        """Let it run the job; None: it was dead before it began. Afterwards it is dead unless the job has `Ended`.

        `seen` is the job as this process knows it, to which others pass on that somebody asks it to stop.
        """
        self.jobs += 1
        self.job = job.id
        before = memory_of(self._process.pid) or 0
        try:
            send(self._connection, Work(job))
        except OSError:
            self.kill()
            return None
        began, until, asked, stops = 0.0, clock.monotonic() + START_LIMIT, 0, False
        while True:
            if self._connection.poll(max(0.0, min(LOOK_EVERY, until - clock.monotonic()))):
                frame = heard_by_worker(self._connection)
                if isinstance(frame, Ended):
                    return frame
                if not isinstance(frame, Begun):
                    return self._broken(began)
                began = clock.monotonic()
                until = began + limits.timeout + MARGIN
                continue
            if clock.monotonic() >= until:
                text = f"killed after {limits.timeout:g} s, its timeout"
                return self._cut(OutOfTime(text), began)
            if began and limits.memory and (used := memory_with_all(self._process.pid)) > limits.memory * MIB:
                text = f"killed: it used {used / MIB:.0f} MiB of memory, of {limits.memory} MiB that it may"
                text += f"; its process had {before / MIB:.0f} MiB before it began"
                return self._cut(OutOfMemory(text), began)
            if seen.cancel_requested and began and asked < TIMES_ASKED:
                asked += 1
                self._say(Cancel(job.id))
            if seen.stop_requested and not stops:
                stops = True
                self._say(Stop())

    def stack(self) -> str:
        """Where its threads are now, with the lines of the source; empty where it does not say."""
        with self._asking_lock:
            if self._stacks.closed:
                return ""
            found = stacks.asked_for(self._process.pid, self._stacks.fileno())
            self._told = os.fstat(self._stacks.fileno()).st_size
        return stacks.with_source(found)

    def is_worn(self, most_memory: int) -> bool:
        """Whether another is to take its place: `most_memory` in MiB, 0 is none."""
        if most_memory and (memory_of(self._process.pid) or 0) >= most_memory * MIB:
            return True
        return sum(map(is_dead, children_of(self._process.pid))) > MOST_DEAD

    def has_room(self, memory: int | None) -> bool:
        """Whether earlier jobs have left it nearly all of so many MiB."""
        if not memory or not self.jobs:
            return True
        return (memory_of(self._process.pid) or 0) - self._fresh <= max(0, memory * MIB - self._fresh) / 4

    def dismiss(self) -> None:
        """There will be no job: it may end by itself."""
        self._say(End())

    def end(self) -> None:
        """Wait for its end once it is dismissed, and end all that its jobs have started; a fresh one has no time."""
        self._has_died(EXIT_TIME if self.jobs else 0)
        self.kill()

    def cut(self) -> None:
        """End it now, with all that its jobs have started; another thread may wait for what it says."""
        with self._ending_lock:
            end_with_all(self._process, self._mark.encode())

    def kill(self) -> None:
        """The same by the thread that waits, or where none does: it is not asked anything any more."""
        self.cut()
        with contextlib.suppress(OSError):
            self._connection.close()
        with self._asking_lock:
            self._stacks.close()

    def _cut(self, error: JobsError, began: float) -> Ended | Broken | None:
        if not began:
            self.kill()
            return None
        with self._asking_lock:
            trace = stacks.asked_for(self._process.pid, self._stacks.fileno())
        self.cut()
        # it may have ended in the last moment
        while self._connection.poll(0) and (frame := heard_by_worker(self._connection)) is not None:
            if isinstance(frame, Ended):
                self.kill()
                return frame
        self.kill()
        return Broken(error, trace, began)

    def _broken(self, began: float) -> Broken | None:
        """It has gone by itself."""
        if not began:
            self.kill()
            return None
        text = self._ending() if self._has_died(EXIT_TIME) else "its process has closed the line to its worker"
        trace = stacks.written(self._stacks.fileno(), self._told)
        self.kill()
        return Broken(ProcessDied(text), trace, began)

    def _has_died(self, seconds: float) -> bool:
        """Whether it dies within this time; how is not yet asked, so that its group remains its own."""
        until = clock.monotonic() + seconds
        while self._process.returncode is None:
            try:
                if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    return True
            except ChildProcessError:
                return True
            if clock.monotonic() >= until:
                return False
            time.sleep(0.002)
        return True

    def _ending(self) -> str:
        found = None
        with contextlib.suppress(ChildProcessError):  # somebody has asked already
            found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return "its process has died"
        if found.si_code == os.CLD_EXITED:
            return f"its process ended with exit code {found.si_status} before the job did"
        name = _signal_name(found.si_status)
        more = "; the system may have run out of memory" if found.si_status == signal.SIGKILL else ""
        return f"its process was killed by {name}{more}"

    def _say(self, frame: Cancel | Stop | End) -> None:
        with contextlib.suppress(OSError):  # it is dead, which is seen elsewhere
            send(self._connection, frame)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
