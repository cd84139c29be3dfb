"""Where the code of a job is, in the form of a traceback, without values.

Of this process by its frames. Of another one by what Python's `faulthandler` writes there: that is C code in a signal
handler, so it tells of a thread that holds the interpreter for minutes, too, and of one that has just crashed.
"""

from __future__ import annotations

import linecache
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ..define.context import RunningJob

#: The signal at which a runner writes where its threads are. Nobody else means this one.
STACK_SIGNAL: int = getattr(signal, "SIGRTMAX", signal.SIGUSR2)
#: Seconds that it may take to write them.
LIMIT = 0.2
MOST_READ = 64 * 1024
_THREAD = re.compile(r"^(?:Current thread|Thread|Stack) .*\(most recent call first\):$", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$', re.MULTILINE)
_SHOWN = re.compile(r'  File "(.*)", line (\d+), in ')
#: What coroutines, generators and asynchronous generators call their frames, and what they wait for.
_FRAMES, _AWAITS, MOST_FRAMES = ("cr_frame", "gi_frame", "ag_frame"), ("cr_await", "gi_yieldfrom", "ag_await"), 200
#: The engine's own way to a task ends here.
_ENGINE = ("jobs/work/execution.py", "jobs/work/forks.py", "jobs/work/event_loop.py")


def asked_for(pid: int, file: int) -> str:
    """Ask the process where its threads are, which writes it into the file; empty where it does not."""
    start = os.fstat(file).st_size
    try:
        os.kill(pid, STACK_SIGNAL)
    except OSError:
        return ""
    size, until = start, time.monotonic() + LIMIT
    while time.monotonic() < until:
        time.sleep(0.005)
        size, before = os.fstat(file).st_size, size
        if size > start and size == before:
            break
    return written(file, start)


def written(file: int, start: int = 0) -> str:
    """What the process has written of its threads from `start` on, the main one last, the innermost call last."""
    text = os.pread(file, MOST_READ, start).decode("utf-8", "replace")
    parts = _THREAD.split(text)[1:]
    return "\n".join(shown for part in parts if (shown := _shown(part)))


def stack_of(job: RunningJob) -> str:
    """Where a job is that this process runs, with the source lines; empty where that cannot be seen."""
    frames = list(_awaiting(job.coroutine)) if job.coroutine is not None else []
    if not frames and (frame := sys._current_frames().get(job.thread)) is not None:
        frames = [(one, number) for one, number in traceback.walk_stack(frame)][::-1]
        ends = [index for index, (one, _number) in enumerate(frames) if one.f_code.co_filename.endswith(_ENGINE)]
        frames = frames[ends[-1] + 1 :] if ends else frames
    if not frames:
        return ""
    found = traceback.StackSummary.extract(iter(frames))
    return "".join(["Traceback (most recent call last):\n", *found.format()])


def with_source(text: str) -> str:
    """What `written` returns, with the lines of the source."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append(line)
        if (frame := _SHOWN.match(line)) is not None:
            source = linecache.getline(frame[1], int(frame[2])).strip()
            lines += [f"    {source}"] if source else []
    return "\n".join(lines)


def _awaiting(coroutine: Any) -> Iterator[tuple[FrameType, int]]:
    """The frames of a coroutine that waits, the outermost first; none of one that runs at this moment."""
    for _depth in range(MOST_FRAMES):
        frame = next((found for name in _FRAMES if (found := getattr(coroutine, name, None)) is not None), None)
        if frame is None or getattr(coroutine, "cr_running", False):
            return
        yield frame, frame.f_lineno
        coroutine = next((found for name in _AWAITS if (found := getattr(coroutine, name, None)) is not None), None)


def _shown(part: str) -> str:
    frames = _FRAME.findall(part)[::-1]
    last = max((index for index, frame in enumerate(frames) if frame[0].endswith(_ENGINE)), default=-1)
    lines = [f'  File "{path}", line {line}, in {name}' for path, line, name in frames[last + 1 :]]
    return "\n".join(["Traceback (most recent call last):", *lines]) if lines and last >= 0 else ""
