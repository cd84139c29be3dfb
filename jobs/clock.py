"""Time, new ids and randomness: the only room that asks the machine for them."""

from __future__ import annotations

import random as _random
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_last_lock = threading.Lock()
_last_stamp = 0
#: How far a test has put the clock ahead of the machine's; nothing anywhere else.
_ahead = timedelta(0)
_ahead_ns = 0


def now() -> datetime:
    """The machine's time, timezone-aware, in UTC."""
    return datetime.now(UTC) + _ahead


def ahead() -> timedelta:
    """How far a test has put the clock ahead."""
    return _ahead


def put_ahead(by: timedelta) -> None:
    """Put the clock, and the time in new ids, so far ahead of the machine's: `jobs.testing.fake_time`."""
    global _ahead, _ahead_ns, _last_stamp
    with _last_lock:
        if by < _ahead:
            _last_stamp = 0  # the order of ids begins anew with the time
        _ahead, _ahead_ns = by, by // timedelta(microseconds=1) * 1_000


def monotonic() -> float:
    """Seconds that never run backwards; for durations and deadlines."""
    return time.monotonic()


def thread_seconds() -> float:
    """Processor seconds that this thread has used; for what work costs, however busy the machine is."""
    return time.thread_time()


def random() -> float:
    """A number from 0 up to, but not including, 1."""
    return _random.random()


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): ordered by time within this process, also within one millisecond."""
    global _last_stamp
    with _last_lock:
        # 48 bits of milliseconds and 12 bits of their fraction, as RFC 9562 section 6.2, method 3
        stamp = max((time.time_ns() + _ahead_ns) * 4096 // 1_000_000, _last_stamp + 1)
        _last_stamp = stamp
    milliseconds, fraction = divmod(stamp, 4096)
    value = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | _random.getrandbits(62)
    return UUID(int=value)
