"""What this process looked at lately: one look serves all who ask within its time, however many pages are open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .. import clock

Value = TypeVar("Value")

#: Seconds for which a look serves at least and at most; in between, so many times the processor time that it took.
LEAST, LONGEST, SHARE = 2.0, 30.0, 66.0
#: So many looks are kept.
MOST = 64


@dataclass
class _Kept(Generic[Value]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Value | None = None
    until: float = 0.0


class Looks(Generic[Value]):
    """By what was looked at, the last look; of those who come at once, one looks and the others take the last one."""

    def __init__(self, seconds: float | None = None) -> None:
        """Looks serve for so many seconds; without them by what they cost."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept[Value]] = OrderedDict()

    def get(self, key: Hashable, look: Callable[[], Value], *, fresh: bool = False) -> Value:
        """The last look, or a new one where it is too old, or `fresh` is asked for."""
        kept = self._of(key)
        if not fresh and kept.value is not None:
            if clock.monotonic() < kept.until:
                return kept.value
            if not kept.lock.acquire(blocking=False):
                return kept.value
        else:
            kept.lock.acquire()
        try:
            if not fresh and kept.value is not None and clock.monotonic() < kept.until:
                return kept.value
            began = clock.thread_seconds()
            kept.value = value = look()
            cost = clock.thread_seconds() - began
            kept.until = clock.monotonic() + (self._seconds or min(LONGEST, max(LEAST, SHARE * cost)))
            return value
        finally:
            kept.lock.release()

    def forget(self) -> None:
        """Look anew at everything."""
        with self._lock:
            self._kept.clear()

    def _of(self, key: Hashable) -> _Kept[Value]:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
            return kept
