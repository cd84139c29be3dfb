"""A child process as its supervisor sees it: started, heard, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from .. import clock
from ..broker.records import ProcessRecord
from ..work.link import DRAINING, READY, WORN
from ..work.trees import KILL_LIMIT

#: The variable that tells of a process, and of whatever its tasks start, which worker it belongs to.
MARK = "JOBS_STARTED_BY"


@dataclass(frozen=True, slots=True)
class Post:
    """A place that a child process is to fill."""

    kind: str  # worker or keeper
    queue: str = ""
    number: int = 1
    threads: int = 0
    alone: bool = False
    most_jobs: int = 0  # after so many another takes its place; 0: after none
    most_memory: int = 0  # so many MiB

    def __str__(self) -> str:
        if self.kind == "keeper":
            return self.kind
        return f"{self.queue}/alone" if self.alone else f"{self.queue}/{self.number}"

    def arguments(self, worker: UUID, life: int, beat: int) -> list[str]:
        """What the child's command line says."""
        words = ["--child", self.kind, "--worker-id", str(worker), "--pipes", f"{life},{beat}"]
        if self.queue:
            words += ["--queue", self.queue, "--threads", str(self.threads)]
        if self.most_jobs:
            words += ["--max-jobs", str(self.most_jobs)]
        if self.most_memory:
            words += ["--max-memory", str(self.most_memory)]
        return [*words, "--alone"] if self.alone else words


class Child:
    """One process in a post. Times are those of `clock.monotonic`."""

    def __init__(self, post: Post, command: Sequence[str]) -> None:
        self.post = post
        self.worker = clock.new_id()
        self.ready = False
        self.outdated = False  # runs code that has changed
        self.replaced = False  # another has taken over
        self.worn = False  # has done its jobs, or grown too large
        self.draining_since: float | None = None
        self.stopped_since: float | None = None
        self.ended_for = ""  # why the supervisor ended it by force
        self.interrupted = False  # ended by force at a stop: no loss
        life, self._life = os.pipe()
        self.beats, beat = os.pipe()
        os.set_blocking(self.beats, False)
        try:
            # a session of its own: a terminal's Ctrl-C reaches the supervisor only
            self.process = subprocess.Popen(
                [*command, *post.arguments(self.worker, life, beat)],
                pass_fds=(life, beat),
                env={**os.environ, MARK: str(self.worker)},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            os.close(self._life)
            os.close(self.beats)
            raise
        finally:
            os.close(life)
            os.close(beat)
        self.born = self.heard_at = clock.monotonic()

    def __str__(self) -> str:
        return f"{self.post} pid={self.process.pid}"

    def record(self) -> ProcessRecord:
        """How the broker knows it."""
        post = self.post
        return ProcessRecord(
            self.worker, post.kind, post.queue, socket.gethostname()[:100], self.process.pid, post.threads
        )

    def listen(self) -> None:
        """Read the signs of life that have arrived."""
        try:
            signs = os.read(self.beats, 4096)
        except BlockingIOError:
            return
        if signs:
            self.heard_at = clock.monotonic()
        self.ready = self.ready or READY in signs
        self.worn = self.worn or WORN in signs
        if DRAINING in signs and self.draining_since is None:
            self.draining_since = clock.monotonic()

    def drain(self) -> None:
        """Ask it to claim nothing more, to finish and to end."""
        if self.draining_since is None:
            self.draining_since = clock.monotonic()
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    def end(self, why: str, *, interrupted: bool) -> None:
        """End it now; returns when it is dead, or stuck in the kernel for too long."""
        if self.process.poll() is None:
            self.ended_for = why
            self.interrupted = interrupted
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(KILL_LIMIT)

    def is_stopped(self) -> bool:
        """Whether a signal (or a debugger) has stopped it; always False where there is no /proc."""
        try:
            with open(f"/proc/{self.process.pid}/stat", "rb") as file:
                return file.read().rpartition(b") ")[2][:1] in (b"T", b"t")
        except OSError:
            return False

    def forget(self) -> None:
        """Close the pipes of a dead child."""
        os.close(self._life)
        os.close(self.beats)


def own_command(python_path: str | None = None) -> list[str]:
    """The command line that starts `run_huey` once more, in the same interpreter and mode."""
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    start = [os.path.abspath(sys.argv[0])]
    if spec is not None and spec.parent:
        start = ["-m", spec.name.removesuffix(".__main__")]
    more = ["--pythonpath", python_path] if python_path else []
    return [sys.executable, *flags, *start, "run_huey", *more]
