"""The terminal of `make run` and `make demo`: who hears its Ctrl-C, and what it can show."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper


@contextmanager
def own_foreground() -> Iterator[None]:
    """Take the terminal's keys for this process alone, as a shell does for its commands, and give them back.

    `make` would hear Ctrl-C too and end with 130, however well this process ends. Ctrl-Z is ignored meanwhile: nobody
    would be there to take the terminal back.
    """
    try:
        terminal = sys.stdin.fileno()
        before = os.tcgetpgrp(terminal)
    except (OSError, ValueError):  # no terminal: nothing to take
        yield
        return
    if before != os.getpgrp():  # in the background
        yield
        return
    for number in (signal.SIGTTOU, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    try:
        os.setpgid(0, 0)
    except PermissionError:  # the leader of a session cannot leave its group, and shares it with no `make`
        yield
        return
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, before)


def escape_what_is_lacking() -> None:
    """Let a terminal that lacks a letter show its number."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
