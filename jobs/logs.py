"""Where `run_huey` and its children write: logging never decides whether jobs run.

A reader that is slow or away (a pipe, a socket, a terminal) is written to by a thread of its own; what does not fit
into its backlog is dropped, counted, and told once the reader is back. A handler that fails is told of on standard
error, as the standard library does it for its own handlers, and nobody else hears of it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import sys
import threading
from collections import deque
from typing import Any

from . import clock

logger = logging.getLogger("jobs.logs")

#: How many bytes wait for a reader that is slow; more are dropped.
MOST_WAITING = 1 << 20
#: Bytes of one write: up to so many arrive whole, whoever else writes to the same pipe (PIPE_BUF of Linux).
MOST_AT_ONCE = 4096
#: Seconds for which the writing thread lets lines gather before it looks again.
GATHER = 0.01

_outputs: list[Output] = []


class Output:
    """Standard output or standard error, written to without its buffer and the lock of it.

    Of a fork only the forking thread lives on: no lock that another thread may have held is asked for in the child.
    """

    def __init__(self, stream: Any, *, may_block: bool) -> None:
        self._stream = stream
        self._file = stream.fileno()
        self._may_block = may_block
        self._lock = threading.RLock()  # a signal handler of the project may log while its thread is in here
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._wake = threading.Event()
        self._pause = threading.Event()  # never set
        _outputs.append(self)
        if may_block:
            threading.Thread(target=self._write_on, name="log-writer", daemon=True).start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Take a text; one that cannot be written for now waits, or is dropped."""
        data = text.encode(self._stream.encoding or "utf-8", self._stream.errors or "backslashreplace")
        if not self._may_block:
            self._put(data)
            return len(text)
        with self._lock:
            if self._size + len(data) > MOST_WAITING:
                self._dropped += data.count(b"\n")
                return len(text)
            self._size += len(data)
            self._waiting.append(data)
        if not self._wake.is_set():
            self._wake.set()
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Take several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back."""

    def finish(self, limit: float) -> bool:
        """Wait until all is written, for at most `limit` seconds; says whether it is. Later texts do not wait."""
        until = clock.monotonic() + limit
        while self._size and (left := until - clock.monotonic()) > 0:
            self._pause.wait(min(left, GATHER))
        self._may_block = self._may_block and self._size > 0
        return not self._may_block

    def leave_to_parent(self) -> None:
        """In a forked child: what waits is the parent's, and this process writes by itself, as any program."""
        self._may_block = False

    def _write_on(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                part = self._next_part()
                self._put(part)
                with self._lock:
                    self._size -= len(part)
            dropped, self._dropped = self._dropped, 0
            if dropped:
                logger.warning("log_lines_dropped lines=%d: nobody read them in time", dropped)
            self._pause.wait(GATHER)

    def _next_part(self) -> bytes:
        part = self._waiting.popleft()
        while self._waiting and len(part) + len(self._waiting[0]) <= MOST_AT_ONCE:
            part += self._waiting.popleft()
        return part

    def _put(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # nobody is there any more, or the disk is full
            while data:
                try:
                    data = data[os.write(self._file, data) :]
                except BlockingIOError:  # whoever started this process made its pipe so
                    select.select([], [self._file], [])


def protect() -> None:
    """Let no reader of the logs and no log handler of the project hold up or end this process's threads."""
    outputs: dict[Any, Output] = {}

    def output(stream: Any) -> Any:
        if stream not in outputs and (made := _output(stream, always=stream in (sys.__stdout__, sys.__stderr__))):
            outputs[stream] = made
        return outputs.get(stream, stream)

    for known in _loggers():
        if known.name.partition(".")[0] == "jobs":
            _guard(known)
        for handler in known.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.stream = output(handler.stream)
            _guard(handler)
    sys.stdout, sys.stderr = output(sys.stdout), output(sys.stderr)


def finish(limit: float = 0.5) -> bool:
    """Write what waits, for at most `limit` seconds; False: a reader does not take it."""
    done = [output.finish(limit) for output in _outputs]
    return all(done)


def _loggers() -> list[logging.Logger]:
    named = [known for known in logging.root.manager.loggerDict.values() if isinstance(known, logging.Logger)]
    return [logging.root, *named]


def _output(stream: Any, *, always: bool) -> Output | None:
    try:
        kind = os.fstat(stream.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return None  # it has no file, or is closed
    may_block = stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or stream.isatty()
    return Output(stream, may_block=may_block) if always or may_block else None


def _guard(part: logging.Handler | logging.Logger) -> None:
    """Let what this handler, or a filter of this logger, raises end there."""
    handle = part.handle
    if getattr(handle, "is_guarded", False):
        return
    told_by = part if isinstance(part, logging.Handler) else logging.Handler()

    def guarded(record: logging.LogRecord) -> Any:
        try:
            return handle(record)
        except (Exception, SystemExit):
            with contextlib.suppress(Exception):
                told_by.handleError(record)

    guarded.is_guarded = True  # type: ignore[attr-defined]
    part.handle = guarded  # type: ignore[method-assign]


def _after_fork() -> None:
    for output in _outputs:
        output.leave_to_parent()


os.register_at_fork(after_in_child=_after_fork)
