"""Trees of processes: what they use, and stopping, continuing and killing all of a tree at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


class Trees:
    """Processes that this benchmark started, with all that they started; their output goes to a file."""

    def __init__(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], cwd: Path, log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._roots = [
                subprocess.Popen(
                    command,
                    cwd=cwd,
                    env={**environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                for command in commands
            ]

    def check(self) -> None:
        """Raise `RuntimeError` with the last lines that were printed, if one of them has ended."""
        for root in self._roots:
            if root.poll() is not None:
                text = self._log.read_text(errors="replace")[-800:]
                raise RuntimeError(f"{' '.join(root.args)} ended with {root.returncode}: {text}")  # type: ignore[arg-type]

    def cpu(self) -> float:
        """Seconds of CPU that the trees have used so far, ended children with them."""
        return sum(cpu_of(root.pid) for root in self._roots)

    def cpu_of_the_living(self) -> float:
        """The same of those that live, to the nanosecond: what little is used by threads that only wait."""
        threads = [
            each for root in self._roots for pid in tree(root.pid) for each in Path(f"/proc/{pid}/task").glob("*")
        ]
        return sum(int(each) for thread in threads for each in _words(thread / "schedstat")[:1]) / 1e9

    def stop(self) -> None:
        """Let none of them run on, not even to answer a signal."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let all of them run on."""
        self._send(signal.SIGCONT)

    def kill(self) -> float:
        """Kill all of them at one moment; returns it."""
        self.stop()
        at = time.time()
        self._send(signal.SIGKILL)
        for root in self._roots:
            root.wait(30)
        return at

    def _send(self, number: signal.Signals) -> None:
        for pid in [each for root in self._roots for each in tree(root.pid)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def tree(root: int) -> list[int]:
    """The process and all that descend from it, parents first; none if it is gone."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root] if _stat(root) else []
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_of(root: int) -> float:
    """Seconds of CPU of a process, of its descendants and of those children that have ended."""
    return sum(sum(map(int, fields[11:15])) for pid in tree(root) if (fields := _stat(pid))) / _TICK


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent …; none if the process is gone."""
    return _words(Path(f"/proc/{pid}/stat"), behind=")")


def _words(path: Path, behind: str = "") -> list[str]:
    try:
        text = path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return (text.rpartition(behind)[2] if behind else text).split()
