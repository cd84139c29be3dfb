"""Somebody who enqueues one job after the other while faults happen."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from .harness import Console

CALLS = ("lambda: nap.enqueue(0.05)", "sell", "count.enqueue", "step.enqueue", "lambda: nap.enqueue(0.3)")


class Customer(threading.Thread):
    """Enqueues until it leaves, by a console of its own; a refusal does not stop it."""

    def __init__(self, console: Console, calls: Sequence[str] = CALLS, pause: float = 0.03) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.refused = 0
        #: How long each call took, in seconds, and when it began.
        self.took: list[tuple[float, float]] = []
        self._console = console
        self._calls = calls
        self._pause = pause
        self._ended = threading.Event()

    @property
    def longest(self) -> float:
        return max(took for _began, took in self.took)

    def __enter__(self) -> Customer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.join(60)

    def run(self) -> None:
        number = 0
        while not self._ended.wait(self._pause):
            began = time.monotonic()
            answer = self._console.ask(f"attempt({self._calls[number % len(self._calls)]})")
            self.took.append((began, time.monotonic() - began))
            number += 1
            if "value" in answer:
                self.accepted.append(answer["value"])
            else:
                self.refused += 1
