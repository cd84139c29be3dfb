"""Who hears the terminal's Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
