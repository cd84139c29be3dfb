"""Time, new ids and randomness: the only room that asks the machine for them."""

from __future__ import annotations

import random as _random
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

_last_lock = threading.Lock()
_last_stamp = 0


def now() -> datetime:
    """The machine's time, timezone-aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that never run backwards; for durations and deadlines."""
    return time.monotonic()


def random() -> float:
    """A number from 0 up to, but not including, 1."""
    return _random.random()


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): ordered by time within this process, also within one millisecond."""
    global _last_stamp
    with _last_lock:
        # 48 bits of milliseconds and 12 bits of their fraction, as RFC 9562 section 6.2, method 3
        stamp = max(time.time_ns() * 4096 // 1_000_000, _last_stamp + 1)
        _last_stamp = stamp
    milliseconds, fraction = divmod(stamp, 4096)
    value = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | _random.getrandbits(62)
    return UUID(int=value)
