"""What happens at the engine's fault points: nothing, or what a file in the site's folder says, once.

A trap is the file `traps/ROLE POINT` with the words `ACTION TIMES`: the process of that role that passes the point for
the TIMES-th time kills itself (`kill`) or stops itself (`stop`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from django.conf import settings

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _role() -> str:
    if "--child" in sys.argv:
        return sys.argv[sys.argv.index("--child") + 1]
    return "supervisor" if "run_huey" in sys.argv else "caller"


ROLE = _role()
_seen: set[str] = set()


def strike(point: str) -> None:
    """Note that the point was reached, and spring the trap that lies there."""
    name = f"{ROLE} {point}"
    if name not in _seen:
        _seen.add(name)
        (settings.FOLDER / "seen" / name).touch()
    path = settings.FOLDER / "traps" / name
    mine = path.with_name(f".{name} {os.getpid()} {threading.get_ident()}")
    try:
        # of many threads and processes at one point only one gets the trap
        path.rename(mine)
    except FileNotFoundError:
        return
    action, times = mine.read_text().split()
    if int(times) > 1:
        mine.write_text(f"{action} {int(times) - 1}")
        mine.rename(path)
        return
    mine.rename(settings.FOLDER / "sprung" / name)
    # to this thread: a signal to the process is another thread's, and this one would go a few steps on
    signal.pthread_kill(threading.get_ident(), SIGNALS[action])
