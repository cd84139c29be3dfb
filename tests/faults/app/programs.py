"""Ways in which a task may start a program, and in which a program may hide; each is a `sleep` of a marked length."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Callable
from pathlib import Path


def running(mark: str) -> list[int]:
    """The ids of the living processes that such a program is."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(int(entry.name))
    return found


def plain(mark: str) -> None:
    subprocess.Popen(["sleep", mark])


def in_its_own_session(mark: str) -> None:
    subprocess.Popen(["sleep", mark], start_new_session=True)


def in_its_own_group(mark: str) -> None:
    subprocess.Popen(["sleep", mark], process_group=0)


def without_a_parent(mark: str) -> None:
    subprocess.run(["sh", "-c", 'setsid sleep "$1" & exit 0', "sh", mark], check=True)


def without_environment(mark: str) -> None:
    subprocess.Popen(["sleep", mark], start_new_session=True, env={})


def deaf(mark: str) -> None:
    subprocess.Popen(["sh", "-c", 'trap \'\' TERM HUP INT QUIT; sleep "$1"; sleep "$1"', "sh", mark])


def tireless(mark: str) -> None:
    """Whoever ends its program gets another."""
    subprocess.Popen(["setsid", "sh", "-c", 'while :; do sleep "$1"; done', "sh", mark])


def with_a_family(mark: str) -> None:
    """Its children are in sessions of their own, without environment."""
    subprocess.Popen(["setsid", "sh", "-c", 'env -i setsid sleep "$1" & env -i setsid sleep "$1"; :', "sh", mark])


def a_server(mark: str) -> None:
    """A child by fork, which starts a program and goes on."""
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(mark,))
    process.start()


def _serve(mark: str) -> None:
    os.setsid()
    subprocess.run(["sleep", mark], check=False)


WAYS: dict[str, Callable[[str], None]] = {
    way.__name__: way
    for way in (
        plain,
        in_its_own_session,
        in_its_own_group,
        without_a_parent,
        without_environment,
        deaf,
        tireless,
        with_a_family,
        a_server,
    )
}
