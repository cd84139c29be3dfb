"""The child's end of the pipes to its supervisor: signs of life go up, the parent's end and signals come in."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from types import FrameType

from .forks import Handler, leave_forks_alone

logger = logging.getLogger("jobs.worker")

#: Seconds between two signs of life.
BEAT_EVERY = 5.0
#: Seconds between two looks at whether the process is worn out, where it has limits.
LOOK_EVERY = 0.5
ALIVE, READY, DRAINING, WORN = b".", b"r", b"d", b"w"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ParentLink:
    """Beats while the process lives, and calls `stop` once: at SIGTERM or SIGINT, or when the supervisor is gone.

    `life` is a pipe whose writing end only the supervisor holds: its end means that the supervisor is dead. `beat`
    is where signs of life are written, at least `every` so many seconds. Once `is_worn` says so, the supervisor
    hears of it, too, and has another take this process's place. Must be made in the main thread.
    """

    def __init__(
        self,
        life: int,
        beat: int,
        stop: Callable[[], None],
        is_worn: Callable[[], bool] = lambda: False,
        every: float = BEAT_EVERY,
    ) -> None:
        self.orphaned = False
        self._every = every
        self._is_worn = is_worn
        self._life = life
        self._beat = beat
        self._stop = stop
        self._stopped = False
        self._signals, signals_in = os.pipe()
        for end in (life, beat):
            os.set_inheritable(end, False)  # none of the programs that tasks start is to have them
        for end in (self._signals, signals_in, beat):
            os.set_blocking(end, False)
        leave_forks_alone(
            {number: note(number) for number in (*STOP_SIGNALS, signal.SIGHUP)},
            (life, beat, self._signals, signals_in),
        )
        # written to by C code, also while a task holds the interpreter for long
        signal.set_wakeup_fd(signals_in, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._run, name="parent-link", daemon=True)

    def start(self) -> None:
        """Begin to beat and to listen."""
        self._thread.start()

    def ready(self) -> None:
        """Tell the supervisor that the start went well."""
        self._tell(READY)

    def stop(self) -> None:
        """Stop as if told to: tell the supervisor, and call `stop` unless that was done."""
        if not self._stopped:
            self._stopped = True
            self._tell(DRAINING)
            self._stop()

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._life, select.POLLIN | select.POLLHUP)
        poller.register(self._signals, select.POLLIN)
        while True:
            self._tell(WORN if self._is_worn() else ALIVE)
            for end, _ in poller.poll(self._every * 1000):
                if end == self._life:
                    poller.unregister(self._life)
                    self.orphaned = True
                    logger.warning("supervisor_gone pid=%d", os.getpid())
                    self.stop()
                elif any(number in STOP_SIGNALS for number in os.read(self._signals, 64)):
                    self.stop()

    def _tell(self, sign: bytes) -> None:
        # a full pipe: the supervisor is stopped; a broken one: it is gone, which the other pipe tells
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._beat, sign)


def note(number: int) -> Handler:
    """Note a signal from now on, unless the process was started to ignore it; returns what was done with it before."""
    before = signal.getsignal(number)
    if number != signal.SIGHUP or before != signal.SIG_IGN:
        signal.signal(number, _noted)
    return before


def _noted(number: int, frame: FrameType | None) -> None:
    """Python writes a signal to the wake-up pipe only if it has a handler."""
