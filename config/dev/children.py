"""Child processes with prefixed output, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

BASE_DIR = Path(__file__).resolve().parents[2]
COLOURS = {"web": "\033[36m", "workers": "\033[35m"}
PLAIN = "\033[0m"
STOP_SECONDS = 45  # the workers' grace time, and some
KILL_SECONDS = 5

Command = Sequence[str]


def manage(*arguments: str) -> list[str]:
    """The command line of one `manage.py` command."""
    return [sys.executable, str(BASE_DIR / "manage.py"), *arguments]


def coloured(stream: IO[str]) -> bool:
    """Whether colours may be written to this stream."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


@dataclass
class Child:
    """One process in a session of its own, so that the terminal's Ctrl-C reaches only its parent.

    `whole_group`: a stop signals every process of the session; otherwise the child stops its own children.
    """

    name: str
    process: subprocess.Popen[str]
    whole_group: bool
    reader: threading.Thread

    def signal(self, number: signal.Signals, *, group: bool) -> None:
        """Send a signal; a process that has gone is no error."""
        try:
            if group:
                os.killpg(self.process.pid, number)
            elif self.process.poll() is None:
                self.process.send_signal(number)
        except ProcessLookupError:
            pass


@dataclass
class Children:
    """The processes of one site: started one by one, ended together."""

    env: Mapping[str, str]
    log: Callable[[str], None] = print
    children: list[Child] = field(default_factory=list)

    def start(self, name: str, command: Command, *, whole_group: bool = False) -> None:
        """Start one process; its lines are shown behind its name."""
        process = subprocess.Popen(
            command,
            cwd=BASE_DIR,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stdout is not None
        reader = threading.Thread(target=self._show, args=(name, process.stdout), name=f"log of {name}", daemon=True)
        self.children.append(Child(name, process, whole_group, reader))
        reader.start()

    def _show(self, name: str, lines: IO[str]) -> None:
        prefix = f"{name:<8}| "
        if coloured(sys.stdout):
            prefix = f"{COLOURS.get(name, '')}{prefix}{PLAIN}"
        for line in lines:
            self.log(prefix + line.rstrip())

    def ended(self) -> Child | None:
        """The first child that has ended, if one has."""
        return next((child for child in self.children if child.process.poll() is not None), None)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Ask all to stop and wait; kill them once `hurry` says so or the time is over. True if none was killed."""
        for child in self.children:
            child.signal(signal.SIGTERM, group=child.whole_group)
        if self._wait(STOP_SECONDS, hurry):
            return True
        for child in self.children:
            child.signal(signal.SIGTERM, group=child.whole_group)
        self._wait(KILL_SECONDS, lambda: False)
        for child in self.children:
            child.signal(signal.SIGKILL, group=True)
        self._wait(KILL_SECONDS, lambda: False)
        return False

    def _wait(self, seconds: float, hurry: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while any(child.process.poll() is None for child in self.children):
            if hurry() or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        for child in self.children:
            child.reader.join(1)
        return True
