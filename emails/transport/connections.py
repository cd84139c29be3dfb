"""Connections to a mail server or provider, held for the next mails of this process."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

#: Seconds after which an unused connection is closed: before the other side does, which Node servers do after 5.
IDLE = 4.0
#: Mails over one connection: mail servers end it after some hundred.
MOST_USES = 100
logger = logging.getLogger("emails.transport")


@dataclass
class _Held:
    backend: Any
    key: Any
    close_it: Callable[[Any], None]
    used_at: float = 0.0
    uses: int = 0


class Connections:
    """Backends of Django whose connection is open and not in use; each is lent to one thread at a time.

    A process that is forked begins with none: two processes on one connection would garble it.
    """

    def __init__(self, idle: float = IDLE, most_uses: int = MOST_USES) -> None:
        self.idle = idle
        self.most_uses = most_uses
        self._lock = threading.Lock()
        self._free: list[_Held] = []
        self._sweeper: threading.Timer | None = None

    @contextmanager
    def lend(
        self,
        backend: Any,
        *,
        open_it: Callable[[Any], None],
        is_alive: Callable[[Any], bool],
        close: Callable[[Any], None],
    ) -> Iterator[Any]:
        """A backend that is configured like `backend`, with an open connection: one that is held, else `backend`.

        It is held on only if the block ends without an exception: after one nobody knows what the other side still
        says. Whatever `open_it` raises comes out of here.
        """
        held = self._take(_key_of(backend), is_alive)
        if held is None:
            held = _Held(backend, _key_of(backend), close)
            open_it(backend)
        try:
            yield held.backend
        except BaseException:
            _close(held)
            raise
        self._give_back(held)

    def close(self) -> None:
        """Close all that are not in use."""
        with self._lock:
            free, self._free = self._free, []
            if self._sweeper is not None:
                self._sweeper.cancel()
                self._sweeper = None
        for held in free:
            _close(held)

    def forget(self) -> None:
        """Let go of all without a word to the other side; in a forked process they are the parent's."""
        self._lock = threading.Lock()
        self._sweeper = None
        for held in self._free:
            _inherited.append(held.backend)
        self._free = []

    def __len__(self) -> int:
        return len(self._free)

    def _take(self, key: Any, is_alive: Callable[[Any], bool]) -> _Held | None:
        while True:
            with self._lock:
                # the newest: the others may then grow old and be closed
                index = next((i for i in range(len(self._free) - 1, -1, -1) if self._free[i].key == key), None)
                if index is None:
                    return None
                held = self._free.pop(index)
            if time.monotonic() - held.used_at < self.idle and is_alive(held.backend):
                return held
            _close(held)

    def _give_back(self, held: _Held) -> None:
        held.uses += 1
        held.used_at = time.monotonic()
        if held.uses >= self.most_uses:
            _close(held)
            return
        with self._lock:
            self._free.append(held)
            self._sweep_later()

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = threading.Timer(self.idle, self._sweep)
            self._sweeper.daemon = True
            self._sweeper.start()

    def _sweep(self) -> None:
        until = time.monotonic() - self.idle
        with self._lock:
            old = [held for held in self._free if held.used_at <= until]
            self._free = [held for held in self._free if held.used_at > until]
            self._sweeper = None
            if self._free:
                self._sweep_later()
        for held in old:
            _close(held)


def _key_of(backend: Any) -> Any:
    """What tells backends of other settings apart."""
    plain = (str, int, float, bool, type(None))
    return type(backend), tuple(
        sorted((k, v) for k, v in vars(backend).items() if isinstance(v, plain) and k[0] != "_")
    )


def _close(held: _Held) -> None:
    with suppress(Exception):  # what became of the mails is known
        held.close_it(held.backend)


#: A parent's backends in a forked process: never closed, since a goodbye would reach the parent's server.
_inherited: list[Any] = []
held_connections = Connections()
os.register_at_fork(after_in_child=held_connections.forget)
atexit.register(held_connections.close)
