"""Where the code of another process is: what Python's `faulthandler` writes there, in the form of a traceback.

It is written by C code in a signal handler, so it tells of a thread that holds the interpreter for minutes, too, and of
one that has just crashed. It has neither values nor source lines.
"""

from __future__ import annotations

import os
import re
import signal
import time

#: The signal at which a runner writes where its threads are. Nobody else means this one.
STACK_SIGNAL: int = getattr(signal, "SIGRTMAX", signal.SIGUSR2)
#: Seconds that it may take to write them.
LIMIT = 0.2
MOST_READ = 64 * 1024
_THREAD = re.compile(r"^(?:Current thread|Thread|Stack) .*\(most recent call first\):$", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$', re.MULTILINE)
#: The engine's own way to a task ends here.
_ENGINE = ("jobs/work/execution.py", "jobs/work/forks.py", "jobs/work/event_loop.py")


def asked_for(pid: int, file: int) -> str:
    """Ask the process where its threads are, which writes it into the file; empty where it does not."""
    try:
        os.kill(pid, STACK_SIGNAL)
    except OSError:
        return ""
    size, until = 0, time.monotonic() + LIMIT
    while time.monotonic() < until:
        time.sleep(0.005)
        size, before = os.fstat(file).st_size, size
        if size and size == before:
            break
    return written(file)


def written(file: int) -> str:
    """What the process has written of its threads, the main one last, and in each the innermost call last."""
    text = os.pread(file, MOST_READ, 0).decode("utf-8", "replace")
    parts = _THREAD.split(text)[1:]
    return "\n".join(shown for part in parts if (shown := _shown(part)))


def _shown(part: str) -> str:
    frames = _FRAME.findall(part)[::-1]
    last = max((index for index, frame in enumerate(frames) if frame[0].endswith(_ENGINE)), default=-1)
    lines = [f'  File "{path}", line {line}, in {name}' for path, line, name in frames[last + 1 :]]
    return "\n".join(["Traceback (most recent call last):", *lines]) if lines and last >= 0 else ""
